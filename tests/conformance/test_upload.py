# SPDX-License-Identifier: MIT
"""Answers that come before the request is whole. The peer's windows stay shut, so that the upload is blocked for certain."""

import pytest

from peer import CANCEL, INITIAL_WINDOW_SIZE, INTERNAL_ERROR, NO_ERROR, RST_STREAM, STREAM_CLOSED
from verdict import DELIVERED, ended, failed, verdict

BODY = b"u" * 50_000


def upload(client, serve, act, window=100, after=None, **submit):
    """`act(peer, request)` answers an upload of which only `window` octets came; then another upload and a plain request go
    over the same connection. Returns the first one's result, and the codes of the resets that the peer got for it."""
    codes = []

    def script(peer):
        peer.settle([(INITIAL_WINDOW_SIZE, window)])
        peer.respond(peer.request("/known").stream)
        peer.refill = False
        request = peer.request("/upload", whole=False)
        peer.until(lambda: len(request.body) == window)
        peer.barrier()
        act(peer, request)
        peer.barrier()
        assert len(request.body) == window and not request.ended
        codes.extend(frame.error_code for frame in peer.received if frame.type == RST_STREAM)
        if after:
            after(peer, request)
        peer.refill = True
        peer.settle([(INITIAL_WINDOW_SIZE, 65_535)])
        second = peer.request("/second")
        peer.respond(second.stream, body=second.body)
        peer.answer_all()

    server = serve(script)
    assert client.fetch(server.url("/known")).reason == "ENDED"
    result = client.fetch(server.url("/upload"), method="POST", body=BODY, replay_allowed=False, **submit)
    assert verdict(client.fetch(server.url("/second"), method="PUT", body=BODY)) == ended(BODY)
    assert verdict(client.fetch(server.url("/third"))) == ended()
    assert server.accepted == 1
    return result, codes


@pytest.mark.parametrize("window", [0, 100])
@pytest.mark.parametrize("status, body", [(200, b""), (413, b"too much"), (303, b""), (500, b"x" * 20_000)])
def test_28_early_answer(client, serve, status, body, window):
    """It is delivered; the rest of the upload is given up, with NO_ERROR."""

    def act(peer, request):
        peer.respond(request.stream, status, body=body)
        peer.wait_reset(request.stream)

    result, codes = upload(client, serve, act, window)
    assert verdict(result) == ended(body, status)
    assert codes == [NO_ERROR]


LATE = {
    "stream-window": lambda peer, request: peer.update_window(request.stream, 60_000),
    "connection-window": lambda peer, request: peer.update_window(0, 60_000),
    "settings": lambda peer, request: peer.settle([(INITIAL_WINDOW_SIZE, 1 << 20)]),
    "reset": lambda peer, request: peer.reset(request.stream, NO_ERROR),
    "reset-with-an-error": lambda peer, request: peer.reset(request.stream, STREAM_CLOSED),
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE.keys())
def test_28_what_comes_late_is_harmless(client, serve, late):
    """Nothing of the upload that was given up is sent any more."""

    def act(peer, request):
        peer.respond(request.stream, 413, body=b"no")
        peer.wait_reset(request.stream)

    def after(peer, request):
        late(peer, request)
        peer.barrier()
        assert len(request.body) == 100 and len([frame for frame in peer.received if frame.type == RST_STREAM]) == 1

    result, _ = upload(client, serve, act, after=after)
    assert verdict(result) == ended(b"no", 413)


@pytest.mark.parametrize("code", [NO_ERROR, CANCEL, INTERNAL_ERROR])
def test_28_answer_and_reset_by_the_peer(client, serve, code):
    """As RFC 9113, section 8.1 has servers do it: the whole answer, then RST_STREAM. The answer counts."""

    def act(peer, request):
        peer.respond(request.stream, 413, body=b"no")
        peer.reset(request.stream, code)

    result, _ = upload(client, serve, act)
    assert verdict(result) == ended(b"no", 413)


@pytest.mark.parametrize("code", [NO_ERROR, INTERNAL_ERROR])
def test_28_half_an_answer_and_reset(client, serve, code):
    """Not whole: then it is a reset like any other."""

    def act(peer, request):
        peer.headers(request.stream, 413)
        peer.data(request.stream, b"no")
        peer.reset(request.stream, code)

    result, _ = upload(client, serve, act)
    assert verdict(result) == failed("RESET", "H2_RESET", h2=code, body=b"no", status=413, why=DELIVERED)


def test_28_answer_that_begins_early_and_lets_the_upload_finish(client, serve):
    """The head is no end: the upload goes on as the peer's windows let it."""

    def act(peer, request):
        peer.headers(request.stream, 200)
        peer.data(request.stream, b"begun, ")
        peer.barrier()

    def after(peer, request):
        peer.update_window(request.stream, len(BODY))
        peer.until(lambda: request.ended)
        assert request.body == BODY
        peer.data(request.stream, b"done", end=True)

    result, codes = upload(client, serve, act, after=after)
    assert verdict(result) == ended(b"begun, done") and codes == []


def test_28_malformed_early_answer(client, serve):
    """The stream's fault, whatever the upload does."""

    def act(peer, request):
        peer.headers(request.stream, 413, [("content-length", "10")])
        peer.force_data(request.stream, b"short", end=True)
        peer.wait_reset(request.stream)

    result, _ = upload(client, serve, act)
    assert verdict(result) == failed("LENGTH_MISMATCH", "LENGTH_SHORT", body=b"short", status=413, why=DELIVERED)


def test_28_stop_while_the_upload_is_blocked(client, serve):
    """The client has enough of the answer: that ends both directions."""

    def act(peer, request):
        peer.headers(request.stream, 413)
        peer.data(request.stream, b"no")
        assert peer.wait_reset(request.stream) == CANCEL

    codes = []

    def script(peer):
        peer.settle([(INITIAL_WINDOW_SIZE, 100)])
        peer.respond(peer.request("/known").stream)
        peer.refill = False
        request = peer.request("/upload", whole=False)
        act(peer, request)
        codes.append(len(request.body))
        peer.answer_all()

    server = serve(script)
    assert client.fetch(server.url("/known")).reason == "ENDED"
    number = client.submit(server.url("/upload"), method="POST", body=BODY)
    client.wait_received(number, 2)
    client.stop(number)
    result = client.finish(number)
    assert result.reason == "STOP_DOWNLOAD" and result.body == b"no" and not result.codes, result
    assert verdict(client.fetch(server.url())) == ended()
    assert codes == [100] and server.accepted == 1
