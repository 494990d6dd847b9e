# SPDX-License-Identifier: MIT
"""The account of a job: one Closed, all attempts in order, and what makes another one; 421; races of the client's own making."""

import random

import pytest

from peer import ENHANCE_YOUR_CALM, REFUSED_STREAM
from support.protocol import code_name, reason_name
from verdict import (
    DELIVERED,
    DONE,
    IDEMPOTENT,
    MISDIRECTED,
    UNPROCESSED,
    Verdict,
    ended,
    failed,
    stream_error,
    verdict,
)


# An origin that turns everything away is not left alone for long.
EAGER = {"pool.backoff": "1ms", "pool.max_backoff": "1ms"}


def test_02_the_ledger_names_every_attempt(client, serve):
    """Refused, turned away, lost, then served: where, on which stream, how it ended, and why it went again."""

    def script(peer):
        request = peer.request("/job")
        if peer.number == 1:
            peer.reset(request.stream, REFUSED_STREAM)
            peer.request("/job")
            peer.goaway(0)
            peer.idle()
        if peer.number == 2:
            peer.headers(request.stream, 103)
            peer.barrier()
            peer.close()
        peer.respond(request.stream, body=b"fine")
        peer.idle()

    server = serve(script)
    result = client.fetch(server.url("/job"), method="PUT", body=b"b" * 100)
    assert verdict(result) == ended(
        before=(("RESET", *UNPROCESSED), ("RESET", *UNPROCESSED), ("CONNECTION_LOST", *IDEMPOTENT))
    )
    attempts = result.closed.attempts
    first = attempts[0].connection
    assert [(one.connection - first, one.stream) for one in attempts] == [(0, 1), (0, 3), (1, 1), (2, 1)]
    assert [code_name(one.code) for one in attempts[:3]] == ["H2_REFUSED", "H2_REFUSED", "CONNECTION_CLOSED"]
    assert {one.remote for one in attempts} == {f"127.0.0.1:{server.port}"}
    assert [one.status for one in attempts] == [0, 0, 0, 200]
    assert result.kinds.count("informational") == 1
    # Bytes are those of all attempts: four request bodies went out, one response came in.
    assert result.closed.bytes.payload == result.closed.bytes.delivered == 4
    assert result.closed.bytes.wire_sent > 4 * 100
    times = result.closed.timings
    assert 0 < times.queued_us <= times.sent_us <= times.first_byte_us <= times.end_us
    assert client.stats().jobs.replays >= 3


@pytest.mark.parametrize("seed", range(8))
def test_01_one_closed_whatever_crosses(settled, serve, seed):
    """Cancels, stops and credit cross answers, resets, GOAWAY and cuts, in an order that the seed makes."""
    with settled({"job.delivery_timeout": "20ms", "job.client_timeout": "300ms", **EAGER}).client() as client:
        cross(client, serve, seed)


def cross(client, serve, seed):
    chance = random.Random(seed)
    plan = {f"/{index}": chance.random() for index in range(150)}

    def script(peer):
        while True:
            request = peer.request()
            fate = plan.get(request.path, 0.0)
            if fate < 0.4:
                peer.respond(request.stream, body=b"x" * int(fate * 10_000))
            elif fate < 0.6:
                peer.headers(request.stream, 200)
                peer.data(request.stream, b"part")
            elif fate < 0.75:
                peer.reset(request.stream, ENHANCE_YOUR_CALM)
            elif fate < 0.85:
                peer.headers(request.stream, 200, [("X-Bad", "1")], end=True)
            elif fate < 0.88:
                peer.goaway(request.stream - 2 if request.stream > 1 else 0)
            elif fate < 0.9:
                peer.cut()

    server = serve(script)
    numbers = []
    for path in plan:
        number = client.submit(server.url(path), initial_credit=chance.choice([0, 1, 1000, 1 << 20]), total_timeout_ms=400)
        numbers.append(number)
        other = chance.choice(numbers)
        if chance.random() < 0.5:
            chance.choice([client.cancel, client.stop, client.cancel])(other)
        if chance.random() < 0.3:
            client.credit(chance.choice(numbers), 1000)
    results = client.finish(*numbers)
    for result in results:
        assert result.kinds[0] == "accepted" and result.kinds.count("closed") == 1
        if result.reason == "ENDED":
            assert not result.codes and result.head.status == 200
        elif result.reason != "STOP_DOWNLOAD":
            assert result.codes, result
    for number in numbers:
        client.cancel(number)
        client.stop(number)
        client.credit(number, 1)
    client.ping()
    assert all(len(client.saw(number, "closed")) == 1 for number in numbers)


# ---- 421


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", [b"", b"elsewhere", b"x" * 300_000])
def test_42_misdirected_once(client, serve, method, body):
    """Whatever the method: it goes again on a connection of its own, and nothing of the 421 is delivered."""

    def script(peer):
        if peer.number == 1:
            beside, victim = peer.request("/beside"), peer.request("/victim")
            peer.headers(beside.stream, 200)
            peer.data(beside.stream, b"ab")
            peer.headers(victim.stream, 421, [("content-length", str(len(body)))], end=not body)
            if body:
                peer.data(victim.stream, body, end=True)
            peer.data(beside.stream, b"cd", end=True)
            peer.idle()
        peer.answer_all()

    server = serve(script)
    beside, victim = client.submit(server.url("/beside")), client.submit(server.url("/victim"), method=method)
    assert verdict(client.finish(victim)) == ended(before=(("INVALID_HOSTNAME", *MISDIRECTED),))
    assert verdict(client.finish(beside)) == ended(b"abcd")
    # 07: and nothing else goes to the first one.
    after = client.fetch(server.url("/after"))
    assert verdict(after) == ended() and server.accepted == 2


@pytest.mark.parametrize("end", [True, False])
def test_42_misdirected_for_ever(client, serve, end):
    """The second one is believed; its head and body are not delivered."""

    def script(peer):
        while True:
            request = peer.request()
            peer.headers(request.stream, 421, end=end)
            if not end:
                peer.data(request.stream, b"go away")

    server = serve(script)
    result = client.fetch(server.url(), method="POST")
    misdirected = ("INVALID_HOSTNAME", *MISDIRECTED)
    assert verdict(result) == Verdict("INVALID_HOSTNAME", ("MISDIRECTED",), ledger=(misdirected, misdirected))
    assert [one.status for one in result.closed.attempts] == [421, 421]
    assert server.accepted == 2 == len(server.requests)


def test_42_misdirected_and_no_replay(client, serve):
    server = serve(lambda peer: peer.answer_all(421))
    result = client.fetch(server.url(), replay_allowed=False)
    assert verdict(result) == Verdict("INVALID_HOSTNAME", ("MISDIRECTED",), ledger=(("INVALID_HOSTNAME", *MISDIRECTED),))


# ---- once something was delivered


@pytest.mark.parametrize("body", [b"", b"part"])
@pytest.mark.parametrize("how", ["refused", "goaway", "lost"])
def test_43_nothing_after_a_head_goes_again(client, serve, how, body):
    """Two answers cannot be made one, whatever the peer says of the request."""

    def script(peer):
        if peer.number > 1:
            peer.answer_all()
        request = peer.request("/job")
        peer.headers(request.stream, 200)
        if body:
            peer.data(request.stream, body)
        if how == "refused":
            peer.reset(request.stream, REFUSED_STREAM)
        elif how == "goaway":
            peer.goaway(0)
        else:
            peer.close()
        peer.answer_all()

    expected = {
        "refused": failed("RESET", "H2_REFUSED", h2=REFUSED_STREAM, body=body, status=200, why=DELIVERED),
        "goaway": failed("RESET", "H2_REFUSED", "H2_GOAWAY", h2=(REFUSED_STREAM, 0), body=body, status=200, why=DELIVERED),
        "lost": failed("CONNECTION_LOST", "CONNECTION_CLOSED", body=body, status=200, why=DELIVERED),
    }
    server = serve(script)
    assert verdict(client.fetch(server.url("/job"))) == expected[how]
    assert len(server.requests) == 1
    assert verdict(client.fetch(server.url("/next"))) == ended()


def test_43_an_interim_response_is_no_head(client, serve):
    """It says nothing of the answer, so a GET goes again after it."""

    def script(peer):
        request = peer.request()
        if peer.number == 1:
            peer.headers(request.stream, 103)
            peer.barrier()
            peer.cut()
        peer.respond(request.stream, body=b"fine")
        peer.idle()

    result = client.fetch(serve(script).url())
    assert verdict(result) == ended(before=(("CONNECTION_LOST", *IDEMPOTENT),))
    assert result.kinds == ["accepted", "informational", "head", "body", "closed"]


def test_43_a_broken_answer_is_not_asked_for_again(client, serve):
    """A peer that breaks the protocol would do it again."""

    def script(peer):
        while True:
            peer.headers(peer.request().stream, 200, [("X-Bad", "1")], end=True)

    server = serve(script)
    assert verdict(client.fetch(server.url())) == stream_error()
    assert len(server.requests) == 1


# ---- later tries

LATER = {"retry_allowed": True, "replay_allowed": False}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", [None, "0", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", "-1"])
def test_45_asked_to_come_later(settled, serve, status, value):
    """Once more after a backoff; the first answer is in the ledger only."""
    daemon = settled({"job.backoff": "20ms"})

    def script(peer):
        first = peer.request()
        peer.respond(first.stream, status, [("retry-after", value)] if value else [], b"busy")
        peer.answer_all()

    with daemon.client() as client:
        result = client.fetch(serve(script).url(), method="POST", **LATER)
        why = (True, "the status asks for a later try, and the client allows one")
        assert verdict(result) == ended(before=(("ENDED", *why),))
        assert [one.status for one in result.closed.attempts] == [status, 200]


@pytest.mark.parametrize("value", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_45_asked_to_come_much_later(client, serve, status, value):
    """Beyond job.max_backoff: that answer is the answer."""
    server = serve(lambda peer: peer.answer_all(status, [("retry-after", value)], b"busy"))
    result = client.fetch(server.url(), **LATER)
    assert verdict(result) == ended(b"busy", status)
    assert result.header(b"retry-after") == [value.encode()]


def test_45_patience_ends(settled, serve):
    """After job.max_attempts the answer is delivered as it is."""
    daemon = settled({"job.backoff": "20ms"})
    server = serve(lambda peer: peer.answer_all(503, [], b"busy"))
    with daemon.client() as client:
        result = client.fetch(server.url(), **LATER)
    assert result.reason == "ENDED" and result.head.status == 503 and result.body == b"busy", result
    assert [(reason_name(one.outcome), one.status) for one in result.closed.attempts] == [("ENDED", 503)] * 4
    assert verdict(result).ledger[-1] == ("ENDED", *DONE)


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_45_other_statuses_are_answers(client, serve, status):
    server = serve(lambda peer: peer.answer_all(status, [], b"no"))
    assert verdict(client.fetch(server.url(), **LATER)) == ended(b"no", status)
    assert len(server.requests) == 1
