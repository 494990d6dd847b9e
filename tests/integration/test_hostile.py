# SPDX-License-Identifier: MIT
"""Origins that mean harm, or break at the worst moment: what they can do stays theirs."""

import select
import ssl
import threading

import pytest
from h2.errors import ErrorCodes

from support.h2_server import PeerGone, simple
from support.process import until


def test_18_push_promises_are_no_way_to_our_memory(client, serve):
    """A push is a connection error, at once: answering each with a reset would queue without end."""

    def script(connection):
        request = connection.request()
        promises = b"".join(
            b"\0\0\x05\5\4" + request.stream.to_bytes(4, "big") + promised.to_bytes(4, "big") + b"\x82"
            for promised in range(2, 4000, 2)
        )
        while True:
            connection.raw(promises)

    result = client.fetch(serve(script).url(), replay_allowed=False)
    assert result.reason == "PROTOCOL_ERROR" and "PUSH_PROMISE" in result.texts, result


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_43_never_again_after_something_was_delivered(client, serve, method):
    """Not even if the peer says, after half an answer, that it never processed the request."""

    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200, [("content-length", "10")])
        connection.data(request.stream, b"first")
        connection.wait(delivered)
        connection.reset(request.stream, ErrorCodes.REFUSED_STREAM)
        connection.idle()

    delivered = threading.Event()
    number = client.submit(serve(script).url(), method=method)
    client.wait_received(number, 5)
    delivered.set()
    result = client.finish(number)
    assert result.reason == "RESET" and result.body == b"first", result
    assert len(client.saw(number, "head")) == 1
    assert [attempt.replay_safe for attempt in result.closed.attempts] == [False]


def test_08_origins_take_turns_when_the_pool_is_full(start_daemon, serve):
    """One place, many origins: each gets it once the one before has been served."""
    daemon = start_daemon({"pool.max_connections": "1", "pool.max_connections_per_origin": "1"})
    servers = [serve(simple()) for _ in range(12)]
    with daemon.client() as client:
        results = client.finish(*[client.submit(server.url()) for server in servers])
        assert [result.reason for result in results] == ["ENDED"] * 12, results
        assert client.stats().pool.connections_opened == 12
    assert [server.accepted for server in servers] == [1] * 12


def short_body(connection):
    request = connection.request()
    connection.headers(request.stream, 200, [("content-length", "10")])
    connection.data(request.stream, b"abc", end=True)
    connection.abort()


def ping_on_a_stream(connection):
    request = connection.request()
    connection.raw(b"\0\0\x08\x06\0" + request.stream.to_bytes(4, "big") + b"x" * 8)
    connection.abort()


def huge_head(connection):
    request = connection.request()
    connection.headers(request.stream, 200, [(f"x{index}", "y" * 1000) for index in range(100)], end=True)
    connection.abort()


@pytest.mark.parametrize(
    "script, reason, code",
    [
        (short_body, "LENGTH_MISMATCH", "LENGTH_SHORT"),
        (ping_on_a_stream, "PROTOCOL_ERROR", "H2_CONNECTION_ERROR"),
        (huge_head, "PROTOCOL_ERROR", "HEADERS_TOO_LARGE"),
    ],
)
def test_17_the_cause_is_named_although_the_peer_hangs_up_at_once(client, serve, script, reason, code):
    result = client.fetch(serve(script).url())
    assert result.reason == reason and result.codes[0] == code, result
    assert len(result.closed.attempts) == 1


def test_a_deadline_takes_nothing_away_that_has_arrived(start_daemon, serve):
    """Once it has ended a job, only the client's own limit counts for what is still to be delivered."""
    jobs, size = 20, 150_000

    def script(connection):
        requests = [connection.request() for _ in range(jobs)]
        for request in requests:
            connection.headers(request.stream, 200)
            connection.data(request.stream, b"z" * size)
        connection.idle()

    server = serve(script)
    daemon = start_daemon()
    with daemon.client(receive_buffer=4096) as client, daemon.client(name="watcher") as watcher:
        numbers = [client.submit(server.url(), total_timeout_ms=1500) for _ in range(jobs)]
        until(lambda: [job.received for job in watcher.list().jobs] == [size] * jobs, "all bodies to arrive")
        until(lambda: all(job.state == 4 for job in watcher.list().jobs), "the deadline to pass")
        # Some rounds of the loop later nothing of it may have been cut.
        for _ in range(20):
            watcher.ping()
        results = client.finish(*numbers, refill=False)
        assert {result.reason for result in results} == {"TIMEOUT"}
        assert {len(result.body) for result in results} == {size}


def test_every_job_is_closed_when_its_origin_dies_under_a_slow_client(start_daemon, serve):
    """What has arrived and has credit waits for the client; so does each Closed. Nobody is hung up on."""
    jobs, size = 60, 150_000
    gone = threading.Event()

    def script(connection):
        requests = [connection.request() for _ in range(jobs)]
        for request in requests:
            connection.headers(request.stream, 200)
        for request in requests:
            connection.data(request.stream, b"z" * size)
        connection.wait(gone)
        connection.abort()

    server = serve(script)
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client(receive_buffer=4096) as client, daemon.client(name="watcher") as watcher:
        numbers = [client.submit(server.url(), replay_allowed=False) for _ in range(jobs)]
        until(
            lambda: [job.received for job in watcher.list().jobs] == [size] * jobs,
            "all bodies to arrive",
        )
        gone.set()
        until(lambda: watcher.stats().pool.connections == 0, "the connection to be gone")
        results = client.finish(*numbers, refill=False)
        assert {result.reason for result in results} == {"CONNECTION_LOST"}
        assert {len(result.body) for result in results} == {size}
        assert client.ping()


def test_41_a_peer_that_takes_no_bytes(start_daemon, serve):
    """Requests that cannot leave have deadlines, and the connection does not stay for ever."""

    def script(connection):
        # Our end of the preface is out; nothing of the client's is read any more.
        connection.frame(4, 0, 0, b"\0\4\x7f\xff\xff\xff")
        connection.frame(8, 0, 0, b"\x7f\xff\0\0")
        connection.wait(done)
        raise PeerGone

    done = threading.Event()
    server = serve(script)
    daemon = start_daemon({"http.write_timeout": "300ms"})
    with daemon.client() as client:
        numbers = [
            client.submit(
                server.url(),
                method="POST",
                body=b"b" * 60_000,
                first_byte_timeout_ms=60_000,
                replay_allowed=False,
            )
            for _ in range(100)
        ]
        results = client.finish(*numbers)
        assert {result.reason for result in results} <= {"CONNECTION_LOST", "INACTIVE"}, results
        assert "http.write_timeout" in results[0].texts, results[0]
        until(lambda: client.stats().pool.connections == 0, "the connection to be given up")
    done.set()


def test_08_the_origin_that_waits_longest_goes_first(start_daemon, serve):
    """Newcomers keep coming to a full pool; nobody who came before them is overtaken."""
    count, ahead = 20, 6
    served = []

    def origin(index):
        def script(connection):
            request = connection.request()
            served.append(index)
            connection.respond(request.stream)
            connection.idle()

        return serve(script)

    servers = [origin(index) for index in range(count)]
    daemon = start_daemon({"pool.max_connections": "1", "pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        numbers = [client.submit(server.url()) for server in servers[:ahead]]
        for server in servers[ahead:]:
            client.finish(numbers[len(numbers) - ahead])
            numbers.append(client.submit(server.url()))
        assert {result.reason for result in client.finish(*numbers)} == {"ENDED"}
    assert served == list(range(count))


def test_41_a_stalled_stream_on_a_silent_connection(client, serve):
    """Nothing has come since: the next job does not meet the same silence."""
    first = threading.Event()

    def script(connection):
        request = connection.request()
        if first.is_set():
            connection.respond(request.stream)
            connection.idle()
        first.set()
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"so far")
        connection.wait(threading.Event())

    server = serve(script)
    result = client.fetch(server.url(), stall_timeout_ms=100)
    assert result.reason == "TIMEOUT" and result.codes == ["TIMEOUT_STALL"] and result.body == b"so far", result
    assert client.fetch(server.url()).reason == "ENDED"
    assert server.accepted == 2


def test_exactly_max_size_for_a_client_that_goes_on_reading(client, serve):
    """More waits in the daemon than there is credit for when the limit is passed: credit that comes is honoured."""
    limit = 1_000_000

    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200)
        while True:
            connection.data(request.stream, b"x" * 100_000)

    result = client.fetch(serve(script).url(), max_size=limit)
    assert result.reason == "MAXSIZE_EXCEEDED_ACTUAL" and len(result.body) == limit, result


def test_41_a_client_that_stops_reading_after_the_end(start_daemon, serve):
    """Its job waits for it, with its own limit, also when what waits is only the delivery."""
    server = serve(simple(body=b"x" * 400_000))
    daemon = start_daemon({"job.client_timeout": "200ms"})
    with daemon.client(receive_buffer=4096) as deaf, daemon.client() as watcher:
        number = deaf.submit(server.url())
        until(lambda: watcher.stats().jobs.submitted == 1 and not watcher.list().jobs, "the job to be given up")
        result = deaf.finish(number, refill=False)
        assert result.reason == "TIMEOUT" and result.codes == ["TIMEOUT_CLIENT"], result


# ---- floods


def flood(kind, flags, stream, payload=b""):
    """A script: takes a request, then sends such frames, more than anybody needs, until it is hung up on."""

    def script(connection):
        request = connection.request()
        frame = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + (request.stream if stream else 0).to_bytes(4, "big")
        for _ in range(100):
            connection.raw((frame + payload) * 200)
        connection.idle()

    return script


def flood_of_data(connection):
    request = connection.request()
    connection.headers(request.stream, 200)
    empty = b"\0\0\0\0\0" + request.stream.to_bytes(4, "big")
    padded = b"\0\0\4\0\x08" + request.stream.to_bytes(4, "big") + b"\3\0\0\0"
    for _ in range(100):
        connection.raw((empty + padded) * 100)
    connection.idle()


def flood_of_continuations(connection):
    request = connection.request()
    stream = request.stream.to_bytes(4, "big")
    connection.flush()
    connection.raw(b"\0\0\1\1\0" + stream + b"\x88" + b"\0\0\0\x09\0" + stream)
    for _ in range(100):
        connection.raw((b"\0\0\0\x09\0" + stream) * 100)
    connection.idle()


@pytest.mark.parametrize(
    "script, code",
    [
        (flood(4, 0, False), "FLOOD_SETTINGS"),
        (flood(6, 0, False, b"abcdefgh"), "FLOOD_PING"),
        (flood(3, 0, True, b"\0\0\0\x08"), "FLOOD_RESET"),
        (flood_of_data, "FLOOD_EMPTY"),
        (flood_of_continuations, "FLOOD_CONTINUATION"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_23_floods_have_a_name(start_daemon, serve, script, code):
    """With the bounds as they are by default. The connection ends, and the job with it; others do not notice."""
    daemon = start_daemon()
    with daemon.client() as client:
        flooder, good = serve(script), serve(simple())
        # The stream that is reset is over with the first one: another one has to tell the end.
        numbers = [client.submit(flooder.url(), replay_allowed=False, method="POST") for _ in range(2)]
        results = client.finish(*numbers)
        named = [result for result in results if code in result.codes]
        assert named, results
        for result in named:
            assert result.reason == "PROTOCOL_ERROR" and result.closed.failures[0].h2_code == ErrorCodes.ENHANCE_YOUR_CALM
            assert "http.max_" in result.texts
        assert client.fetch(good.url()).reason == "ENDED"


def test_23_answers_that_nobody_reads(start_daemon, serve):
    """It asks, and does not listen. What waits for it is bounded."""

    def script(connection):
        connection.request()
        connection.socket.setblocking(False)
        frames = b"\0\0\x08\x06\0\0\0\0\0abcdefgh" * 100
        waiting = b""
        while not connection.server.closing:
            waiting = waiting or frames
            try:
                waiting = waiting[connection.socket.send(waiting) :]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                select.select([], [connection.socket], [], 0.1)
            except OSError:
                return

    daemon = start_daemon({"http.max_queued_frames": "1000", "http.max_ping_rate": "1000000"})
    with daemon.client() as client:
        result = client.fetch(serve(script).url(), replay_allowed=False)
        assert result.reason == "PROTOCOL_ERROR" and result.codes == ["FLOOD_ANSWERS"], result
        assert "http.max_queued_frames" in result.texts


@pytest.mark.parametrize("stream, code", [(1, "H2_STREAM_ERROR"), (0, "H2_CONNECTION_ERROR")])
def test_23_windows_that_overflow(client, serve, stream, code):
    def script(connection):
        connection.request(whole=False)
        connection.frame(8, 0, stream, b"\x7f\xff\xff\xff")
        connection.idle()

    result = client.fetch(serve(script).url(), method="POST", replay_allowed=False)
    assert result.reason == "PROTOCOL_ERROR" and result.codes == [code], result
    assert result.closed.failures[0].h2_code == ErrorCodes.FLOW_CONTROL_ERROR
