# SPDX-License-Identifier: MIT
"""GOAWAY: with each last stream id at each point, twice, more than twice, with an error, as the whole answer."""

import threading

import pytest

from peer import ENHANCE_YOUR_CALM, GOAWAY, ID_MAX, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM
from support.process import PATIENCE
from verdict import (
    DELIVERED,
    FORBIDDEN,
    IDEMPOTENT,
    NOT_IDEMPOTENT,
    UNPROCESSED,
    USED_UP,
    connection_error,
    end_of_connection,
    ended,
    failed,
    verdict,
)

GOING = ("RESET", *UNPROCESSED)


@pytest.mark.parametrize("code", [NO_ERROR, INTERNAL_ERROR], ids=["graceful", "error"])
@pytest.mark.parametrize("last", [0, 1, 3, 5, 7, ID_MAX])
def test_15_goaway_mid_body(client, serve, last, code):
    """Streams 1 and 3 are mid-body, 5 has no answer yet. Those up to `last` finish on the old connection. Above it, the one
    that nobody has seen an answer of goes to another connection, and the others cannot."""
    delivered = threading.Event()

    def script(peer):
        if peer.number > 1:
            peer.answer_all(body=b"again")
        streams = [peer.request(path).stream for path in ("/0", "/1", "/2")]
        assert streams == [1, 3, 5]
        for stream in streams[:2]:
            peer.headers(stream, 200)
            peer.data(stream, b"ab")
        peer.until_set(delivered)
        peer.goaway(last, code, b"bye")
        for stream in streams[:2]:
            peer.force_data(stream, b"cd", end=True)
        peer.headers(streams[2], 200)
        peer.data(streams[2], b"late", end=True)
        peer.idle()

    server = serve(script)
    numbers = [client.submit(server.url(f"/{index}"), method="POST") for index in range(3)]
    for number in numbers[:2]:
        client.wait_received(number, 2)
    delivered.set()
    results = [verdict(result) for result in client.finish(*numbers)]
    cut = failed("RESET", "H2_REFUSED", "H2_GOAWAY", h2=(REFUSED_STREAM, code), body=b"ab", status=200, why=DELIVERED)
    assert results[0] == (ended(b"abcd") if last >= 1 else cut)
    assert results[1] == (ended(b"abcd") if last >= 3 else cut)
    assert results[2] == (ended(b"late") if last >= 5 else ended(b"again", before=(GOING,)))
    # 07: whatever is left on the old connection, the next job is on another one.
    after = client.fetch(server.url("/after"), method="POST")
    assert verdict(after) == ended(b"again") and after.closed.attempts[0].connection != 1
    assert server.accepted == 2


def test_15_goaway_cause_is_in_the_failure(client, serve):
    """Its code, and of its debug data what can be printed."""

    def script(peer):
        request = peer.request()
        peer.headers(request.stream, 200)
        peer.data(request.stream, b"part")
        peer.goaway(0, ENHANCE_YOUR_CALM, b"slow\r\ndown\0\x1b[31m\xff")
        peer.idle()

    result = client.fetch(serve(script).url())
    codes = (REFUSED_STREAM, ENHANCE_YOUR_CALM)
    assert verdict(result) == failed("RESET", "H2_REFUSED", "H2_GOAWAY", h2=codes, body=b"part", status=200, why=DELIVERED)
    assert '"slow??down??[31m?"' in result.texts


@pytest.mark.parametrize("size", [16_376, 0])
def test_15_goaway_with_as_much_debug_data_as_fits(client, serve, size):
    def script(peer):
        stream = peer.request().stream
        if peer.number == 1:
            peer.goaway(0, NO_ERROR, b"x" * size)
            peer.idle()
        peer.respond(stream, body=b"fine")
        peer.idle()

    assert verdict(client.fetch(serve(script).url())) == ended(before=(GOING,))


@pytest.mark.parametrize("ids", [(ID_MAX, 1), (ID_MAX, 3), (1, 1), (3, 1), (ID_MAX, ID_MAX, 1), (5, 3, 1)])
def test_16_double_goaway_loses_nothing(client, serve, ids):
    """The second one says what counts; stream 1 finishes where it is, 3 there or elsewhere."""
    delivered = threading.Event()

    def script(peer):
        if peer.number > 1:
            peer.answer_all(body=b"again")
        first, second = peer.request("/0").stream, peer.request("/1").stream
        peer.headers(first, 200)
        peer.data(first, b"ab")
        peer.until_set(delivered)
        for last in ids:
            peer.goaway(last)
            peer.barrier()
        peer.data(first, b"cd", end=True)
        if ids[-1] >= second:
            peer.respond(second, body=b"again")
        peer.idle()

    server = serve(script)
    first, second = client.submit(server.url("/0")), client.submit(server.url("/1"), method="POST")
    client.wait_received(first, 2)
    delivered.set()
    assert verdict(client.finish(first)) == ended(b"abcd")
    assert verdict(client.finish(second)) == ended(b"again", before=(GOING,) if ids[-1] < 3 else ())
    assert verdict(client.fetch(server.url())) == ended(b"again")


def test_16_jobs_that_come_between_the_two(client, serve):
    """After the warning (2^31-1) nothing new is put on the connection, so the second one leaves nothing out."""
    delivered, warned, over = threading.Event(), threading.Event(), threading.Event()

    def script(peer):
        if peer.number > 1:
            peer.answer_all()
        first = peer.request("/0").stream
        peer.headers(first, 200)
        peer.data(first, b"ab")
        peer.until_set(delivered)
        peer.goaway(ID_MAX)
        peer.barrier()
        warned.set()
        peer.until_set(over)
        assert len(peer.requests) == 1
        peer.goaway(first)
        peer.data(first, b"cd", end=True)
        peer.idle()

    server = serve(script)
    first = client.submit(server.url("/0"))
    client.wait_received(first, 2)
    delivered.set()
    assert warned.wait(PATIENCE)
    between = [client.submit(server.url(f"/{index}"), method="POST") for index in range(1, 6)]
    assert [verdict(result) for result in client.finish(*between)] == [ended()] * 5
    over.set()
    assert verdict(client.finish(first)) == ended(b"abcd")
    assert server.accepted == 2


@pytest.mark.parametrize("ids", [(1, 3), (0, ID_MAX), (1, 5)])
def test_15_goaway_with_a_growing_last_id_is_a_connection_error(client, serve, ids):
    """RFC 9113, section 6.8: the id must not increase. What it would promise cannot be believed."""

    def act(peer, request):
        for last in ids:
            peer.goaway(last)

    # The neighbour's stream is 1 and its answer has begun, the job's own is 3 and above the first id.
    result = end_of_connection(client, serve, act, neighbour="any")
    codes = ("H2_REFUSED", "H2_GOAWAY")
    assert verdict(result) == failed("RESET", *codes, h2=(REFUSED_STREAM, NO_ERROR), why=FORBIDDEN)


@pytest.mark.parametrize("last", [2, 4, (1 << 31) - 2])
def test_15_goaway_that_names_a_stream_of_the_servers_own(client, serve, last):
    """An even id can be none of ours."""
    result = end_of_connection(client, serve, lambda peer, request: peer.goaway(last))
    assert verdict(result) == connection_error(PROTOCOL_ERROR)


@pytest.mark.parametrize("payload, stream, code", [(b"", 0, 6), (b"\0" * 7, 0, 6), (b"\0" * 8, 1, 1)])
def test_17_malformed_goaway(client, serve, payload, stream, code):
    result = end_of_connection(client, serve, lambda peer, request: peer.frame(GOAWAY, 0, stream, payload))
    assert verdict(result) == connection_error(code)


@pytest.mark.parametrize("how", ["close", "cut", "tcp_reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_15_goaway_and_gone(client, serve, method, how):
    """Left out by GOAWAY is never processed, whatever happens to the connection in the same breath."""

    def script(peer):
        stream = peer.request().stream
        if peer.number == 1:
            peer.goaway(0)
            getattr(peer, how)()
        peer.respond(stream, body=b"fine")
        peer.idle()

    result = client.fetch(serve(script).url(), method=method)
    assert verdict(result) == ended(before=(GOING,))


@pytest.mark.parametrize("method, replayed", [("GET", True), ("POST", False)])
def test_15_goaway_that_counts_the_stream_in_and_gone(client, serve, method, replayed):
    """It may have been processed: that is a lost connection, with the GOAWAY in its chain."""

    def script(peer):
        stream = peer.request().stream
        if peer.number == 1:
            peer.goaway(stream, INTERNAL_ERROR, b"crash")
            peer.close()
        peer.respond(stream, body=b"fine")
        peer.idle()

    result = client.fetch(serve(script).url(), method=method)
    if replayed:
        assert verdict(result) == ended(before=(("CONNECTION_LOST", *IDEMPOTENT),))
    else:
        expected = failed("CONNECTION_LOST", "CONNECTION_CLOSED", "H2_GOAWAY", h2=INTERNAL_ERROR, why=NOT_IDEMPOTENT)
        assert verdict(result) == expected
        assert "crash" in result.texts


def test_15_goaway_to_every_request_for_ever(settled, serve):
    """Being turned away costs no attempt, but sixteen are the end."""

    def script(peer):
        peer.request()
        peer.goaway(0)
        peer.idle()

    server = serve(script)
    with settled({"pool.backoff": "1ms", "pool.max_backoff": "1ms"}).client() as client:
        result = client.fetch(server.url(), method="POST")
    codes = ("H2_REFUSED", "H2_GOAWAY")
    assert verdict(result) == failed("RESET", *codes, h2=(REFUSED_STREAM, NO_ERROR), why=USED_UP, before=(GOING,) * 15)
    assert server.accepted == len(server.requests) == 16


def test_15_goaway_before_anything_is_asked(client, serve):
    """A server that is about to stop says so in its first octets."""

    def script(peer):
        if peer.number == 1:
            peer.goaway(0)
            peer.idle()
        peer.answer_all()

    result = client.fetch(serve(script).url(), method="POST")
    assert result.reason == "ENDED" and result.body == b"fine", result
    # The request was on its way, or it was not.
    assert verdict(result).ledger[:-1] in ((), (GOING,), (("INACTIVE", *UNPROCESSED),)), result


def test_07_nothing_new_on_a_draining_connection(client, serve):
    """Its last stream takes its time; everybody else is elsewhere, and it closes when that one is done."""
    drained, over = threading.Event(), threading.Event()

    def script(peer):
        if peer.number > 1:
            peer.answer_all()
        stream = peer.request("/long").stream
        peer.headers(stream, 200)
        peer.goaway(stream)
        peer.barrier()
        drained.set()
        peer.until_set(over)
        assert list(peer.requests) == [stream]
        peer.data(stream, b"done", end=True)
        peer.idle()

    server = serve(script)
    long = client.submit(server.url("/long"))
    assert drained.wait(PATIENCE)
    results = client.finish(*[client.submit(server.url(f"/{index}")) for index in range(20)])
    assert [verdict(result) for result in results] == [ended()] * 20
    assert len({result.closed.attempts[0].connection for result in results}) == 1
    over.set()
    assert verdict(client.finish(long)) == ended(b"done")
    assert server.accepted == 2


def closes_after(counts):
    """Each connection serves so many requests, and turns away what was sent beyond; the last number is for all later ones."""

    def script(peer):
        count = counts[min(peer.number, len(counts)) - 1]
        for index in range(count):
            request = peer.request()
            if index == count - 1:
                peer.goaway(request.stream)
            peer.respond(request.stream, body=b"fine")
        peer.idle()

    return script


def test_15_server_that_closes_after_so_many_requests(settled, serve):
    """Once it is known to, no more is put on a connection than it serves, and nobody is turned away any more."""
    server = serve(closes_after([5]))
    with settled().client() as client:
        for index in range(4):
            results = client.finish(*[client.submit(server.url(f"/{index}"), method="POST") for _ in range(50)])
            assert {verdict(result).reason for result in results} == {"ENDED"}
            if index > 0:
                assert {len(result.closed.attempts) for result in results} == {1}
    # Connections that served less than five may be among those that were opened while the habit was not known.
    assert server.accepted >= 40


def test_15_server_that_stops_once_has_no_habit(settled, serve):
    """One graceful stop, or two after other numbers of requests, say nothing about the next connection."""
    daemon = settled({"pool.max_connections_per_origin": "1"})
    server = serve(closes_after([5, 7, 1000]))
    with daemon.client() as client:
        results = client.finish(*[client.submit(server.url(f"/{index}")) for index in range(300)])
        assert {verdict(result).reason for result in results} == {"ENDED"}
    assert server.accepted == 3
