# SPDX-License-Identifier: MIT
"""RST_STREAM by the peer: with each code, at each point of an answer."""

import pytest

from peer import INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM
from verdict import (
    DELIVERED,
    FORBIDDEN,
    IDEMPOTENT,
    NOT_IDEMPOTENT,
    UNPROCESSED,
    among_neighbours,
    ended,
    failed,
    verdict,
)

CODES = [*range(0xE), 0xDEADBEEF]


def expected(code, moment):
    if moment == "after-end":
        return ended(b"part")
    more = {"why": FORBIDDEN} if moment == "before-head" else {"why": DELIVERED, "status": 200}
    more["body"] = b"part" if moment == "mid-body" else b""
    return failed("RESET", "H2_REFUSED" if code == REFUSED_STREAM else "H2_RESET", h2=code, **more)


@pytest.mark.parametrize("moment", ["before-head", "after-head", "mid-body", "after-end"])
@pytest.mark.parametrize("code", CODES, ids=hex)
def test_02_reset_with_each_code(client, serve, code, moment):
    """Its code is in the failure, what came before is delivered, and the neighbours do not notice."""

    def act(peer, request):
        if moment != "before-head":
            peer.headers(request.stream, 200)
        if moment in ("mid-body", "after-end"):
            peer.data(request.stream, b"part", end=moment == "after-end")
        peer.reset(request.stream, code)

    assert verdict(among_neighbours(client, serve, act)) == expected(code, moment)


@pytest.mark.parametrize(
    "method, replayed",
    [("GET", True), ("HEAD", True), ("PUT", True), ("DELETE", True), ("POST", False), ("PATCH", False)],
)
@pytest.mark.parametrize("code", [NO_ERROR, INTERNAL_ERROR], ids=hex)
def test_43_reset_before_the_head(client, serve, method, replayed, code):
    """What is idempotent goes again; the ledger says why, or why not."""

    def script(peer):
        peer.reset(peer.request().stream, code)
        peer.answer_all(body=b"" if method == "HEAD" else b"fine")

    server = serve(script)
    result = client.fetch(server.url(), method=method)
    if replayed:
        first = ("RESET", *IDEMPOTENT)
        assert verdict(result) == ended(b"" if method == "HEAD" else b"fine", before=(first,))
    else:
        assert verdict(result) == failed("RESET", "H2_RESET", h2=code, why=NOT_IDEMPOTENT)
    assert len(server.requests) == len(result.closed.attempts)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_42_refused_stream_goes_again_whatever_its_method(client, serve, method):
    def script(peer):
        peer.reset(peer.request().stream, REFUSED_STREAM)
        peer.answer_all()

    result = client.fetch(serve(script).url(), method=method)
    assert verdict(result) == ended(before=(("RESET", *UNPROCESSED),))


@pytest.mark.parametrize("times, served", [(3, True), (4, False)])
def test_42_refusals_are_bounded(client, serve, times, served):
    """job.max_attempts is 4."""

    def script(peer):
        for _ in range(times):
            peer.reset(peer.request().stream, REFUSED_STREAM)
        peer.answer_all()

    server = serve(script)
    result = client.fetch(server.url(), method="POST")
    refused = ("RESET", *UNPROCESSED)
    if served:
        assert verdict(result) == ended(before=(refused,) * 3)
    else:
        last = (True, "safe, but job.max_attempts is used up")
        assert verdict(result) == failed("RESET", "H2_REFUSED", h2=REFUSED_STREAM, why=last, before=(refused,) * 3)
    assert len(server.requests) == len(result.closed.attempts) == 4
