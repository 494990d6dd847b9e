# SPDX-License-Identifier: MIT
"""Connections: which job goes on which, when there are more, when one goes away, and what is sent again."""

import threading

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from support.h2_server import H2Server, answer_all, simple
from support.origins import Nginx
from support.process import until


def hold(gate):
    """Answers requests only after the gate opened, but for the first one if it is /known: with its answer, the peer has our
    settings."""

    def script(connection):
        connection.socket.settimeout(0.02)
        answered = connection.answered
        while True:
            try:
                connection.pump()
            except TimeoutError:
                pass
            if gate.is_set():
                for request in list(connection.requests.values()):
                    if request.ended and request.stream not in answered:
                        answered.add(request.stream)
                        connection.respond(request.stream)
            elif 1 in connection.requests and connection.requests[1].get(b":path") == [b"/known"] and 1 not in answered:
                answered.add(1)
                connection.respond(1)

    return script


def limited(streams):
    return {SettingCodes.MAX_CONCURRENT_STREAMS: streams}


def test_04_origins_do_not_share(client, serve):
    first, second = serve(simple()), serve(simple())
    for server in (first, second, first, second):
        assert client.fetch(server.url()).reason == "ENDED"
    assert client.fetch(first.url(host="good.test")).reason == "ENDED"
    assert (first.accepted, second.accepted) == (2, 1), "another name is another origin"
    origins = {info.origin for info in client.stats().origins}
    assert f"https://localhost:{first.port}" in origins and f"https://good.test:{first.port}" in origins


def test_05_waiting_jobs_go_fifo_within_their_priority(start_daemon, serve):
    gate = threading.Event()
    server = serve(hold(gate), settings=limited(1))
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        client.fetch(server.url("/known"))
        first = client.submit(server.url("/first"))
        server.wait_requests(2)
        numbers = [
            client.submit(server.url(f"/{priority}-{index}"), priority=priority)
            for index in range(3)
            for priority in (1, 2, 3, 4)
        ]
        client.ping()
        gate.set()
        client.finish(first, *numbers)
    paths = [request.get(b":path")[0].decode() for request in server.requests]
    assert paths == ["/known", "/first"] + [f"/{priority}-{index}" for priority in (4, 3, 2, 1) for index in range(3)]


def test_08_more_connections_when_streams_are_short(start_daemon, serve):
    gate = threading.Event()
    server = serve(hold(gate), settings=limited(2))
    daemon = start_daemon({"pool.max_connections_per_origin": "3"})
    with daemon.client() as client:
        client.fetch(server.url("/known"))
        numbers = [client.submit(server.url(f"/{index}")) for index in range(20)]
        server.wait_accepted(2)
        assert until(lambda: client.stats().pool.connections > 1, "a second connection to be used")
        gate.set()
        assert {result.reason for result in client.finish(*numbers)} == {"ENDED"}
        assert 2 <= server.accepted <= 3


@pytest.mark.parametrize("limit", [1, 3])
def test_08_real_server_with_few_streams(start_daemon, certificates, documents, tmp_path, limit):
    """The requests that went out before its limit was known are refused by it, and go out again."""
    daemon = start_daemon({"pool.max_connections_per_origin": "3"})
    with Nginx(tmp_path, certificates.good, documents, max_concurrent_streams=limit) as server:
        with daemon.client() as client:
            results = client.finish(*[client.submit(server.url("/page"), method="GET") for _ in range(100)])
            assert {result.reason for result in results} == {"ENDED"}, results
            assert client.stats().pool.connections_opened <= 3


def test_08_pool_wide_cap_closes_idle_ones(start_daemon, certificates):
    daemon = start_daemon({"pool.max_connections": "2", "pool.max_connections_per_origin": "1"})
    servers = [H2Server(certificates.good, simple()) for _ in range(4)]
    with daemon.client() as client:
        for server in servers:
            with server:
                assert client.fetch(server.url()).reason == "ENDED"
                assert client.stats().pool.connections <= 2


def test_14_concurrency_is_the_peers(start_daemon, serve):
    """And it is re-read when it changes: a rise wakes waiters at once."""
    raise_it, gate = threading.Event(), threading.Event()

    def script(connection):
        connection.respond(connection.request().stream)
        connection.answered.add(1)
        connection.request()
        connection.request()
        connection.wait(raise_it)
        connection.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 5})
        connection.flush()
        hold(gate)(connection)

    server = serve(script, settings=limited(2))
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        client.fetch(server.url("/known"))
        numbers = [client.submit(server.url(f"/{index}")) for index in range(8)]
        server.wait_requests(3)
        pool = client.stats().pool
        assert (pool.streams, pool.waiting) == (2, 6)
        raise_it.set()
        server.wait_requests(6)
        pool = client.stats().pool
        assert (pool.streams, pool.waiting) == (5, 3)
        gate.set()
        assert {result.reason for result in client.finish(*numbers)} == {"ENDED"}


def test_13_requests_do_not_wait_for_settings(client, serve):
    """The server says SETTINGS only after the request came."""
    server = serve(answer_all(lambda connection, request: connection.respond(request.stream)))
    assert client.fetch(server.url()).reason == "ENDED"


def test_13_our_settings(client, serve):
    seen = []

    def script(connection):
        connection.request()
        seen.append(connection.h2.remote_settings)
        connection.respond(1)
        connection.idle()

    assert client.fetch(serve(script).url()).reason == "ENDED"
    assert seen[0].enable_push == 0
    assert seen[0].initial_window_size >= 65_535
    assert seen[0].max_header_list_size


@pytest.mark.parametrize("allowed", [True, False])
def test_42_refused_stream_is_replayed(client, serve, allowed):
    """Any method, body and all: it was never processed."""
    refused = threading.Event()

    def script(connection):
        while True:
            request = connection.request()
            if not refused.is_set():
                refused.set()
                connection.reset(request.stream, ErrorCodes.REFUSED_STREAM)
            else:
                connection.respond(request.stream, body=request.body)

    result = client.fetch(serve(script).url(), method="POST", body=b"once", replay_allowed=allowed)
    if not allowed:
        assert result.reason == "RESET" and result.codes[0] == "H2_REFUSED", result
        return
    assert result.reason == "ENDED" and result.body == b"once", result
    first, second = result.closed.attempts
    assert first.replay_safe and first.why and second.status == 200
    assert client.stats().jobs.replays == 1


def test_42_replays_are_bounded(client, serve):
    def respond(connection, request):
        connection.reset(request.stream, ErrorCodes.REFUSED_STREAM)

    server = serve(answer_all(respond))
    result = client.fetch(server.url())
    assert result.reason == "RESET" and result.codes[0] == "H2_REFUSED", result
    assert 1 < len(server.requests) == len(result.closed.attempts) <= 16


@pytest.mark.parametrize("method, replayed", [("GET", True), ("PUT", True), ("POST", False)])
def test_43_loss_before_the_head(client, serve, method, replayed):
    def script(connection):
        request = connection.request()
        if connection.number == 1:
            connection.abort()
        connection.respond(request.stream, body=b"second")
        connection.idle()

    result = client.fetch(serve(script).url(), method=method)
    if replayed:
        assert result.reason == "ENDED" and result.body == b"second", result
        assert [attempt.replay_safe for attempt in result.closed.attempts][0]
    else:
        assert result.reason == "CONNECTION_LOST", result
        assert not result.closed.attempts[0].replay_safe and result.closed.attempts[0].why


@pytest.mark.parametrize("method, replayed", [("GET", True), ("POST", False)])
def test_43_reset_before_the_head(client, serve, method, replayed):
    done = threading.Event()

    def script(connection):
        while True:
            request = connection.request()
            if not done.is_set():
                done.set()
                connection.reset(request.stream, ErrorCodes.INTERNAL_ERROR)
            else:
                connection.respond(request.stream)

    result = client.fetch(serve(script).url(), method=method)
    assert result.reason == ("ENDED" if replayed else "RESET"), result


def test_15_goaway_replays_what_it_left_out(client, serve):
    """Streams up to its last id finish on the old connection; the others go to another one."""
    seen = threading.Event()

    def script(connection):
        if connection.number == 1:
            first, second, third = (connection.request() for _ in range(3))
            connection.send_goaway(0, first.stream, b"going")
            connection.wait(seen)
            connection.respond(first.stream, body=b"old")
            connection.idle()
        while True:
            connection.respond(connection.request().stream, body=b"new")

    server = serve(script)
    numbers = [client.submit(server.url(f"/{index}"), method="POST", body=b"b") for index in range(3)]
    results = client.finish(*numbers[1:])
    seen.set()
    assert client.finish(numbers[0]).body == b"old"
    assert [result.body for result in results] == [b"new", b"new"]
    assert server.accepted == 2
    assert client.fetch(server.url()).body == b"new", "07: nothing new on the draining one"


def test_15_goaway_with_an_error(client, serve):
    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"part")
        connection.send_goaway(ErrorCodes.ENHANCE_YOUR_CALM, request.stream, b"too hot")
        connection.abort()

    result = client.fetch(serve(script).url())
    assert result.reason == "CONNECTION_LOST", result
    assert "H2_GOAWAY" in result.codes, result
    assert any(failure.h2_code == ErrorCodes.ENHANCE_YOUR_CALM for failure in result.closed.failures)
    assert "too hot" in result.texts


def test_16_graceful_double_goaway(client, serve):
    def script(connection):
        first = connection.request()
        if connection.number == 1:
            connection.headers(first.stream, 200)
            connection.send_goaway(0, (1 << 31) - 1)
            connection.data(first.stream, b"half ")
            connection.send_goaway(0, first.stream)
            connection.data(first.stream, b"whole", end=True)
            connection.idle()
        connection.respond(first.stream, body=b"other")
        connection.idle()

    server = serve(script)
    assert client.fetch(server.url()).body == b"half whole"
    assert client.fetch(server.url()).body == b"other"


def test_15_nginx_that_says_goaway_every_60_requests(client, certificates, documents, tmp_path):
    with Nginx(tmp_path, certificates.good, documents, keepalive_requests=60) as server:
        numbers = [client.submit(server.url("/small")) for _ in range(1000)]
        results = client.finish(*numbers)
        failed = [repr(result) for result in results if result.reason != "ENDED"]
        assert not failed, "\n".join(failed)
        assert until(lambda: len(server.requests()) >= 1000, "nginx to log them all")
        assert len(server.requests()) == 1000


def test_19_loss_after_sending(start_daemon, serve):
    """Replay is off: the client is told."""
    gate = threading.Event()

    def script(connection):
        connection.request()
        connection.wait(gate)
        connection.abort()

    server = serve(script)
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        sent = client.submit(server.url("/sent"), replay_allowed=False)
        server.wait_requests(1)
        client.ping()
        gate.set()
        result = client.finish(sent)
        assert result.reason == "CONNECTION_LOST" and result.closed.attempts[0].stream == 1, result


def test_19_waiting_jobs_survive_the_loss(start_daemon, serve):
    def script(connection):
        request = connection.request()
        if connection.number == 1:
            connection.respond(request.stream)
            connection.request()
            connection.wait(connection.server.go)
            connection.abort()
        while True:
            connection.respond(request.stream)
            request = connection.request()

    server = serve(script, settings=limited(1))
    server.go = threading.Event()
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        client.fetch(server.url("/known"))
        sent = client.submit(server.url("/sent"), method="POST")
        server.wait_requests(2)
        waiting = [client.submit(server.url(f"/{index}"), method="POST") for index in range(5)]
        client.ping()
        server.go.set()
        assert client.finish(sent).reason == "CONNECTION_LOST"
        results = client.finish(*waiting)
        assert {result.reason for result in results} == {"ENDED"}, results


def test_42_misdirected(client, serve):
    """421 on a shared connection: once more on a fresh one; there again: INVALID_HOSTNAME."""

    def respond(connection, request):
        connection.respond(request.stream, 421 if connection.number == 1 and request.stream > 1 else 200)

    server = serve(answer_all(respond))
    assert client.fetch(server.url()).head.status == 200
    result = client.fetch(server.url())
    assert result.reason == "ENDED" and result.head.status == 200, result
    assert [attempt.status for attempt in result.closed.attempts] == [421, 200]
    assert server.accepted == 2


def test_42_misdirected_for_good(client, serve):
    server = serve(simple(421))
    result = client.fetch(server.url())
    assert result.reason == "INVALID_HOSTNAME" and "MISDIRECTED" in result.codes, result


def test_10_idle_connection_is_closed_with_goaway(start_daemon, serve):
    ended = []

    def script(connection):
        connection.respond(connection.request().stream)
        try:
            connection.idle()
        finally:
            ended.append(connection.goaway)

    server = serve(script)
    daemon = start_daemon({"pool.idle_timeout": "1s"})
    with daemon.client() as client:
        assert client.fetch(server.url()).reason == "ENDED"
        until(lambda: client.stats().pool.connections == 0, "the idle connection to be closed")
        until(lambda: ended, "the server to notice")
    assert ended[0] is not None and ended[0].error_code == 0, "GOAWAY(NO_ERROR)"


def test_23_flood_of_settings_and_pings_is_answered_or_ended(client, serve):
    """Whatever the daemon does about it, it neither grows nor hangs, and others are served."""

    def script(connection):
        request = connection.request()
        if connection.number == 1:
            for _ in range(20_000):
                connection.raw(b"\0\0\x08\x06\0\0\0\0\0abcdefgh" * 50)
            connection.idle()
        connection.respond(request.stream)
        connection.idle()

    flooder, good = serve(script), serve(simple())
    number = client.submit(flooder.url(), total_timeout_ms=60_000, replay_allowed=False)
    for _ in range(5):
        assert client.fetch(good.url()).reason == "ENDED"
    client.cancel(number)
    assert client.finish(number).reason in ("CANCELLED", "PROTOCOL_ERROR", "CONNECTION_LOST")


def test_45_retry_after(start_daemon, serve):
    daemon = start_daemon({"job.backoff": "50ms"})

    def respond(connection, request):
        first = len(connection.server.requests) == 1
        connection.respond(request.stream, 503 if first else 200, [("retry-after", "0")])

    server = serve(answer_all(respond))
    with daemon.client() as client:
        result = client.fetch(server.url(), retry_allowed=True)
        assert result.reason == "ENDED" and result.head.status == 200, result
        assert [attempt.status for attempt in result.closed.attempts] == [503, 200]
        assert len(result.of("head")) == 1
        assert client.stats().jobs.retries == 1


def test_45_no_retry_unless_allowed(client, serve):
    server = serve(simple(503, [("retry-after", "0")]))
    assert client.fetch(server.url()).head.status == 503
    assert len(server.requests) == 1
