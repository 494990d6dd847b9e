# SPDX-License-Identifier: MIT
"""Flow control and SETTINGS that change in flight, from both sides: ours must never be overdrawn or leak, the peer's must be
kept to the octet."""

import functools

import pytest

from peer import (
    CANCEL,
    DATA,
    ENABLE_PUSH,
    FLOW_CONTROL_ERROR,
    HEADER_TABLE_SIZE,
    ID_MAX,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    NO_RFC7540_PRIORITIES,
    PROTOCOL_ERROR,
    RST_STREAM,
    frames,
    make_frame,
)
from support.process import until
from verdict import (
    DELIVERED,
    OVER,
    among_neighbours,
    connection_error,
    end_of_connection,
    ended,
    failed,
    stream_error,
    verdict,
)

MIB = 1 << 20
SMALL = {"http.connection_window": "1M", "http.stream_window": "64K"}


# ---- windows that the peer gives us


OVERFLOWS = {
    "at-once": [ID_MAX],
    "by-one": [ID_MAX - 65_535, 1],
    "in-steps": [1 << 30, 1 << 30],
}


@pytest.mark.parametrize("steps", OVERFLOWS.values(), ids=OVERFLOWS.keys())
def test_23_window_of_a_stream_that_overflows(client, serve, steps):
    """A stream error (RFC 9113, section 6.9.1)."""

    def act(peer, request):
        for step in steps:
            peer.update_window(request.stream, step)

    assert verdict(among_neighbours(client, serve, act)) == stream_error(FLOW_CONTROL_ERROR)


@pytest.mark.parametrize("steps", OVERFLOWS.values(), ids=OVERFLOWS.keys())
def test_23_window_of_the_connection_that_overflows(client, serve, steps):
    def act(peer, request):
        for step in steps:
            peer.update_window(0, step)

    assert verdict(end_of_connection(client, serve, act)) == connection_error(FLOW_CONTROL_ERROR)


def test_23_window_that_overflows_by_settings(client, serve):
    """INITIAL_WINDOW_SIZE reaches every open stream: one whose own window was raised already goes over, and it alone pays.
    (RFC 9113, section 6.9.2 makes it a fault of the connection; the neighbours need not suffer for it.)"""

    def act(peer, request):
        peer.update_window(request.stream, ID_MAX - 65_535)
        peer.send_settings([(INITIAL_WINDOW_SIZE, 65_536)])

    assert verdict(among_neighbours(client, serve, act)) == stream_error(FLOW_CONTROL_ERROR)


@pytest.mark.parametrize("own", [True, False], ids=["stream", "connection"])
def test_23_window_update_of_nothing(client, serve, own):
    def act(peer, request):
        peer.update_window(request.stream if own else 0, 0)

    assert verdict(end_of_connection(client, serve, act)) == connection_error(PROTOCOL_ERROR)


def test_23_window_of_all_there_is(client, serve):
    """Exactly 2^31 - 1 is legal, on both, and again after it was used."""
    body = b"b" * 60_000

    def act(peer, request):
        peer.update_window(request.stream, ID_MAX - 65_535)
        peer.until(lambda: request.ended)
        peer.update_window(0, ID_MAX - 65_535 + len(body))
        peer.respond(request.stream, body=b"body")

    careful = functools.partial(serve, refill=False)
    assert verdict(among_neighbours(client, careful, act, method="POST", body=body)) == ended(b"body")


# ---- uploads under windows that change


def test_27_upload_to_the_octet(client, serve):
    """Whatever the peer grants, on the stream or on the connection, is used and nothing beyond it."""
    body = bytes(range(256)) * 200

    def script(peer):
        peer.settle([(INITIAL_WINDOW_SIZE, 0)])
        first = peer.request("/known")
        peer.respond(first.stream)
        request = peer.request("/upload", whole=False)
        given = 0
        for step in (1, 2, 100, 10_000, 16_384, 0):
            if step:
                peer.update_window(request.stream, step)
            given += step
            peer.until(lambda: len(request.body) >= given)
            peer.barrier()
            assert len(request.body) == given, "more than the window"
        peer.update_window(request.stream, len(body))
        peer.until(lambda: request.ended)
        peer.respond(request.stream, body=b"fine")
        peer.idle()

    server = serve(script, refill=False)
    assert client.fetch(server.url("/known")).reason == "ENDED"
    assert verdict(client.fetch(server.url("/upload"), method="POST", body=body)) == ended()
    assert server.requests[-1][1].body == body


def test_27_two_uploads_on_one_connection_window(client, serve):
    """The connection's window is what is short: both get on, and both finish."""
    body = b"u" * 60_000
    turns = []

    def script(peer):
        first, second = peer.request("/0", whole=False), peer.request("/1", whole=False)
        peer.until(lambda: len(first.body) + len(second.body) == 65_535)
        while not (first.ended and second.ended):
            have = len(first.body) + len(second.body)
            peer.update_window(0, 1000)
            more = min(have + 1000, 2 * len(body))
            peer.until(lambda: len(first.body) + len(second.body) >= more)
            if more == 2 * len(body):
                peer.until(lambda: first.ended and second.ended)
            turns.append((len(first.body), len(second.body)))
        for request in (first, second):
            peer.respond(request.stream, body=b"fine")
        peer.idle()

    server = serve(script, refill=False)
    results = client.finish(*[client.submit(server.url(f"/{index}"), method="POST", body=body) for index in range(2)])
    assert [verdict(result) for result in results] == [ended()] * 2
    assert [request.body for _, request in server.requests] == [body, body]
    assert turns


DOWN = {
    # INITIAL_WINDOW_SIZE at each step, after so much of the body has come
    "to-0": [(0, 0)],
    "below-what-is-out": [(0, 100), (30_000, 10)],
    "up": [(0, 20_000), (10_000, 60_000)],
    "down-and-up": [(0, 30_000), (20_000, 5), (20_000, 40_000)],
}


@pytest.mark.parametrize("steps", DOWN.values(), ids=DOWN.keys())
def test_27_window_that_changes_under_an_upload(client, serve, steps):
    """It can become negative (RFC 9113, section 6.9.2): nothing goes until it is positive again, then all of it does."""
    body = b"u" * 60_000

    def script(peer):
        peer.settle([(INITIAL_WINDOW_SIZE, steps[0][1])])
        peer.respond(peer.request("/known").stream)
        request = peer.request("/upload", whole=False)
        initial, given = steps[0][1], 0
        for have, window in steps[1:]:
            if have > given + initial:
                peer.update_window(request.stream, have - given - initial)
                given = have - initial
            peer.until(lambda: len(request.body) >= have)
            peer.settle([(INITIAL_WINDOW_SIZE, window)])
            initial = window
        peer.barrier()
        assert len(request.body) <= max(given + initial, max((have for have, _ in steps), default=0))
        before = len(request.body)
        short = before - (given + initial)
        if short > 1:
            # Still not positive.
            peer.update_window(request.stream, short - 1)
            given += short - 1
            peer.barrier()
            assert len(request.body) == before
        peer.update_window(request.stream, len(body))
        peer.until(lambda: request.ended)
        peer.respond(request.stream, body=b"fine")
        peer.idle()

    server = serve(script, refill=False)
    assert client.fetch(server.url("/known")).reason == "ENDED"
    assert verdict(client.fetch(server.url("/upload"), method="POST", body=body)) == ended()
    assert server.requests[-1][1].body == body


def test_27_window_of_zero_for_ever(client, serve):
    """The request is out, its body cannot follow: the deadline for the first byte ends the wait, and only that job."""

    def act(peer, request):
        # Something comes later than what was sent: otherwise the path would count as dead, and be replaced.
        peer.listen()
        peer.barrier()

    settings = {INITIAL_WINDOW_SIZE: 0}
    upload = {"method": "POST", "body": b"b" * 1000, "first_byte_timeout_ms": 150}
    result = among_neighbours(client, serve, act, settings=settings, **upload)
    assert verdict(result) == failed("TIMEOUT", "TIMEOUT_FIRST_BYTE", why=OVER)


@pytest.mark.parametrize("size", [16_384, 20_000, (1 << 24) - 1])
def test_27_frames_as_large_as_the_peer_allows(client, serve, size):
    body = b"u" * 60_000
    sizes = []

    def script(peer):
        peer.settle([(MAX_FRAME_SIZE, size)])
        peer.respond(peer.request("/known").stream)
        request = peer.request("/upload")
        sizes.extend(len(frame.data) for frame in peer.received if isinstance(frame, frames.DataFrame))
        peer.respond(request.stream, body=b"fine")
        peer.idle()

    server = serve(script)
    assert client.fetch(server.url("/known")).reason == "ENDED"
    assert verdict(client.fetch(server.url("/upload"), method="POST", body=body)) == ended()
    assert sum(sizes) == len(body) and max(sizes) <= size


# ---- settings


BAD = {
    "push-2": ([(ENABLE_PUSH, 2)], PROTOCOL_ERROR),
    "push-on": ([(ENABLE_PUSH, 1)], PROTOCOL_ERROR),
    "window-2^31": ([(INITIAL_WINDOW_SIZE, 1 << 31)], FLOW_CONTROL_ERROR),
    "window-all": ([(INITIAL_WINDOW_SIZE, 0xFFFFFFFF)], FLOW_CONTROL_ERROR),
    "frame-16383": ([(MAX_FRAME_SIZE, 16_383)], PROTOCOL_ERROR),
    "frame-0": ([(MAX_FRAME_SIZE, 0)], PROTOCOL_ERROR),
    "frame-2^24": ([(MAX_FRAME_SIZE, 1 << 24)], PROTOCOL_ERROR),
    "connect-protocol-2": ([(8, 2)], PROTOCOL_ERROR),
    "priorities-2": ([(NO_RFC7540_PRIORITIES, 2)], PROTOCOL_ERROR),
    "priorities-late": ([(NO_RFC7540_PRIORITIES, 1)], PROTOCOL_ERROR),
    "one-of-many": ([(MAX_CONCURRENT_STREAMS, 7), (MAX_FRAME_SIZE, 5), (HEADER_TABLE_SIZE, 9)], PROTOCOL_ERROR),
}


@pytest.mark.parametrize("values, code", BAD.values(), ids=BAD.keys())
def test_17_setting_with_a_bad_value(client, serve, values, code):
    result = end_of_connection(client, serve, lambda peer, request: peer.send_settings(values))
    assert verdict(result) == connection_error(code)


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 65_536, 0xFFFFFFFF])
def test_13_header_table_size_that_changes(client, serve, size):
    """Both before and between requests; each of them is understood, so the tables agree."""

    def script(peer):
        for index in range(20):
            if index % 5 == 1:
                peer.settle([(HEADER_TABLE_SIZE, size if index % 2 else 4096)])
            request = peer.request()
            assert request.get(b"accept") == [b"text/" + str(index // 2).encode()]
            peer.respond(request.stream, body=b"fine")
        peer.idle()

    server = serve(script, settings=[(HEADER_TABLE_SIZE, 4096)])
    for index in range(20):
        assert verdict(client.fetch(server.url(), [("accept", f"text/{index // 2}")])) == ended()
    assert server.accepted == 1


@pytest.mark.parametrize("size", [0, 100])
def test_13_header_list_size_is_advice(client, serve, size):
    """The peer says how much it takes; the request is what the client asked for, and the peer may answer 431."""
    server = serve(lambda peer: peer.answer_all(431), settings=[(MAX_HEADER_LIST_SIZE, size)])
    for _ in range(2):
        assert verdict(client.fetch(server.url(), [("x", "y" * 1000)])) == ended(status=431)


# ---- concurrency


def test_14_limit_that_rises_and_falls(settled, serve):
    """A rise lets waiting jobs go at once; a fall, also below what is open, waits for streams to end."""
    daemon = settled({"pool.max_connections_per_origin": "1"})

    def script(peer):
        known = peer.request("/known")
        peer.respond(known.stream)
        peer.until(lambda: len(peer.requests) == 3)
        peer.barrier()
        assert len(peer.requests) == 3
        for limit in (4, 6):
            peer.settle([(MAX_CONCURRENT_STREAMS, limit)])
            peer.until(lambda: len(peer.requests) == 1 + limit)
            peer.barrier()
            assert len(peer.requests) == 1 + limit
        # Down to one, with six open: five may end before another one comes.
        peer.settle([(MAX_CONCURRENT_STREAMS, 1)])
        waiting = [peer.request().stream for _ in range(6)]
        for stream in waiting[:5]:
            peer.respond(stream, body=b"fine")
            peer.barrier()
            assert len(peer.requests) == 7
        peer.respond(waiting[5], body=b"fine")
        for count in range(8, 10):
            peer.until(lambda: len(peer.requests) == count)
            peer.barrier()
            assert len(peer.requests) == count
            peer.respond(peer.request().stream, body=b"fine")
        # None at all, and then all at once.
        peer.settle([(MAX_CONCURRENT_STREAMS, 0)])
        late = [peer.request() for _ in range(len(peer.requests) - 9)]
        for request in late:
            peer.respond(request.stream, body=b"fine")
        peer.barrier()
        peer.settle([(MAX_CONCURRENT_STREAMS, 0xFFFFFFFF)])
        peer.answer_all()

    server = serve(script, settings=[(MAX_CONCURRENT_STREAMS, 2)])
    with daemon.client() as client:
        assert client.fetch(server.url("/known")).reason == "ENDED"
        numbers = [client.submit(server.url(f"/{index}"), method="POST", replay_allowed=False) for index in range(20)]
        assert [verdict(result) for result in client.finish(*numbers)] == [ended()] * 20
    assert server.accepted == 1


def test_14_no_streams_at_all(settled, serve):
    """A limit of 0 is waited out; the queue's deadline ends the wait, and nothing was ever sent."""
    daemon = settled({"pool.max_connections_per_origin": "1"})
    server = serve(lambda peer: peer.answer_all(), settings=[(MAX_CONCURRENT_STREAMS, 0)])
    with daemon.client() as client:
        # What goes out at once goes under the assumed limit, and this server takes it.
        assert verdict(client.fetch(server.url("/known"))) == ended()
        result = client.fetch(server.url("/never"), queue_timeout_ms=100)
        assert (result.reason, result.codes) == ("TIMEOUT", ["TIMEOUT_QUEUE"]), result
        assert not result.closed.attempts
    assert [request.path for _, request in server.requests] == ["/known"]


def test_13_requests_under_the_assumed_limit(settled, serve):
    """Without the peer's SETTINGS, 100 go at once and not one more."""
    daemon = settled({"pool.max_connections_per_origin": "1", "pool.max_streams_per_connection": "1000"})

    def script(peer):
        peer.obliging.clear()
        peer.preface()
        peer.until(lambda: len(peer.requests) == 100)
        peer.send_settings([(MAX_CONCURRENT_STREAMS, 150)])
        peer.until(lambda: len(peer.requests) == 150)
        peer.barrier()
        assert len(peer.requests) == 150
        peer.answer_all()

    server = serve(script, bare=True)
    with daemon.client() as client:
        results = client.finish(*[client.submit(server.url(f"/{index}")) for index in range(200)])
        assert [verdict(result) for result in results] == [ended()] * 200
    assert server.accepted == 1


# ---- windows that we give the peer


@pytest.mark.parametrize("count", [5, 200])
def test_23_stream_that_is_sent_more_than_its_window(settled, serve, count):
    """64 KiB here: the stream's error. What goes beyond never takes memory, however much it is."""
    daemon = settled({**SMALL, "job.delivery_timeout": "10ms"})

    def act(peer, request):
        peer.headers(request.stream, 200)
        peer.raw(make_frame(DATA, 0, request.stream, bytes(16_384)) * count)

    with daemon.client() as client:
        result = among_neighbours(client, serve, act, initial_credit=0)
        assert verdict(result) == stream_error(FLOW_CONTROL_ERROR, status=200, why=DELIVERED)
        assert "http.stream_window" in result.texts


PATHS = {
    # What becomes of each answer's body
    "delivered": {},
    "stopped": {},
    "cancelled": {},
    "too-large": {"max_size": 1000},
    "length-short": {},
    "length-long": {},
    "reset-by-peer": {},
    "reset-and-more": {},
}


@pytest.mark.parametrize("path", PATHS)
def test_37_every_octet_is_given_back_exactly_once(settled, serve, path):
    """Ten times the connection's window goes through it, each time by the same way out; then the window is what it was, and
    it never was more."""
    daemon = settled({**SMALL, "http.max_frame_size": "16K"})
    size, rounds = 60_000, 180
    gone = []

    def script(peer):
        peer.respond(peer.request("/known").stream)
        peer.barrier()
        full = peer.window
        assert full == MIB
        for _ in range(rounds):
            request = peer.request()
            stream = request.stream
            announced = {"length-short": size + 1, "length-long": size - 1}.get(path)
            peer.headers(stream, 200, [("content-length", str(announced))] if announced else [])
            if path in ("stopped", "cancelled"):
                peer.data(stream, b"x" * 20_000)
                peer.wait_reset(stream)
                for _ in range(4):
                    peer.force_data(stream, b"x" * 10_000, pad=100)
                continue
            ending = path not in ("reset-by-peer", "reset-and-more", "too-large")
            for index in range(6):
                peer.data(stream, b"x" * 10_000, end=ending and index == 5, pad=index * 50)
            if path.startswith("reset"):
                peer.reset(stream, CANCEL)
            if path == "reset-and-more":
                peer.force_data(stream, b"x" * 10_000)
        peer.barrier()
        gone.append((full, peer.window, peer.most_window))
        peer.answer_all()

    server = serve(script)
    with daemon.client() as client:
        client.fetch(server.url("/known"))
        for _ in range(rounds):
            number = client.submit(server.url("/body"), replay_allowed=False, **PATHS[path])
            if path in ("stopped", "cancelled"):
                client.wait_received(number, 1)
                (client.stop if path == "stopped" else client.cancel)(number)
            client.finish(number)
        assert verdict(client.fetch(server.url("/after"))) == ended()
    (full, now, most) = gone[0]
    assert most <= full, "more was given back than had come"
    # Up to half of it may be owed: it is given back in large pieces.
    assert now > full // 2
    assert server.accepted == 1


def test_09_one_job_without_credit_and_its_neighbours(settled, serve):
    """It fills its stream's window and no more; the connection's stays open for the others."""
    daemon = settled(SMALL)

    def script(peer):
        slow = peer.request("/slow")
        peer.headers(slow.stream, 200)
        peer.data(slow.stream, b"s" * 65_536)
        while True:
            peer.respond(peer.request().stream, body=b"f" * 500_000)

    server = serve(script)
    with daemon.client() as client:
        slow = client.submit(server.url("/slow"), initial_credit=0)
        for _ in range(5):
            result = client.fetch(server.url("/fast"))
            assert result.reason == "ENDED" and len(result.body) == 500_000, result
        until(lambda: client.list().jobs[0].received == 65_536, "the slow one's body to arrive")
        client.cancel(slow)
        assert client.finish(slow).reason == "CANCELLED"
    assert server.accepted == 1


def test_39_cancel_says_cancel(client, serve):
    """Once, with that code, whatever the state of the stream."""
    codes = {}

    def script(peer):
        before, after = peer.request("/before"), peer.request("/after")
        peer.headers(after.stream, 200)
        peer.data(after.stream, b"some")
        for request in (before, after):
            codes[request.path] = peer.wait_reset(request.stream)
        peer.barrier()
        codes["frames"] = [frame.stream_id for frame in peer.received if frame.type == RST_STREAM]
        peer.answer_all()

    server = serve(script)
    before, after = client.submit(server.url("/before")), client.submit(server.url("/after"))
    client.wait_received(after, 4)
    for number in (before, after, before, after):
        client.cancel(number)
    results = client.finish(before, after)
    assert [result.reason for result in results] == ["CANCELLED"] * 2
    assert [result.codes for result in results] == [["CANCELLED_BY_CLIENT"]] * 2
    for number in (before, after):
        client.cancel(number)
    assert verdict(client.fetch(server.url("/next"))) == ended()
    assert codes == {"/before": CANCEL, "/after": CANCEL, "frames": [1, 3]}
