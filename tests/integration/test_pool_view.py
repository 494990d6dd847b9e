# SPDX-License-Identifier: MIT
"""The pool as one sees it from outside: each connection's state, with its time and its reason; and the pauses of origins
that serve nothing."""

import threading

import pytest
from h2.settings import SettingCodes

from support.h2_server import H2Server, answer_all, simple
from support.process import until
from support.protocol import pb


def state(connection):
    return pb.PoolConnection.State.Name(connection.state)


def view(client):
    return client.stats(connections=256).connections


def only(client):
    connections = view(client)
    return connections[0] if len(connections) == 1 else None


def in_state(client, name):
    def look():
        connection = only(client)
        return connection if connection and state(connection) == name else None

    return until(look, f"one connection that is {name}")


def turn_away(connection):
    """Lets a request come, and says that it will not be served."""
    connection.request(whole=False)
    connection.send_goaway(0, last_stream=0, debug=b"not today")
    connection.idle()


def test_08_a_connection_says_how_it_is(client, serve):
    def script(connection):
        connection.respond(connection.request().stream)
        request = connection.request()
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"x" * 1000)
        connection.wait(draining)
        connection.send_goaway(0, last_stream=request.stream, debug=b"for the night")
        connection.wait(ending)
        connection.data(request.stream, b"", end=True)
        connection.idle()

    draining, ending = threading.Event(), threading.Event()
    server = serve(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 7})
    assert not view(client)
    assert client.fetch(server.url()).reason == "ENDED"
    idle = only(client)
    assert state(idle) == "OPEN" and idle.why == "idle" and 0 < idle.left_ms <= 240_000, idle
    assert idle.origin == f"https://localhost:{server.port}" and idle.remote.endswith(f":{server.port}")
    assert idle.streams == 0 and idle.stream_limit == 7 and idle.carried == 1
    assert idle.state_for_ms <= idle.age_ms and not idle.HasField("ping_ago_ms")
    number = client.submit(server.url())
    client.wait_received(number, 1000)
    busy = only(client)
    assert state(busy) == "OPEN" and busy.streams == 1 and busy.carried == 2 and not busy.HasField("left_ms"), busy
    assert busy.connection == idle.connection and busy.send_window > 0 and busy.receive_window > 0
    draining.set()
    leaving = in_state(client, "DRAINING")
    assert "GOAWAY" in leaving.why and "for the night" in leaving.why and leaving.streams == 1, leaving
    ending.set()
    assert client.finish(number).reason == "ENDED"
    until(lambda: not view(client), "the connection to be gone")


def test_10_a_ping_and_its_round_trip_are_seen(start_daemon, serve):
    server = serve(answer_all(lambda connection, request: connection.respond(request.stream)))
    daemon = start_daemon({"http.ping_after": "50ms"})
    with daemon.client() as client:
        client.fetch(server.url())
        until(lambda: only(client).silent_ms > 60, "a silence")
        assert client.fetch(server.url()).reason == "ENDED"
        connection = only(client)
        assert connection.HasField("ping_ago_ms") and connection.HasField("ping_rtt_us"), connection
        assert connection.ping_ago_ms < 60_000 and connection.ping_rtt_us > 0


def test_15_an_origin_that_serves_nothing_gets_pauses(start_daemon, serve):
    """It lets every connection in and turns everything away. Without a pause, each try of each job would cost a
    handshake at once."""
    server = serve(turn_away)
    daemon = start_daemon({"pool.backoff": "60s", "pool.max_backoff": "60s"})
    with daemon.client() as client:
        numbers = [client.submit(server.url()) for _ in range(5)]
        place = in_state(client, "FAILED")
        assert "not today" in place.why and 0 < place.left_ms <= 60_000 and not place.remote, place
        late = client.submit(server.url())
        jobs = client.list().jobs
        assert len(jobs) == 6
        for job in jobs:
            assert job.wait.reason == pb.Wait.ORIGIN_BACKOFF and 0 < job.wait.left_ms <= 60_000, job
            assert "without serving anything" in job.waiting_for
        stats = client.stats()
        assert stats.pool.connections == stats.pool.connecting == 0 and stats.pool.connections_opened == 2
        assert 0 < stats.origins[0].backoff_ms <= 60_000
        # Its deadlines run on, and a cancel needs no connection.
        result = client.fetch(server.url(), connect_timeout_ms=100)
        assert result.reason == "CONNECT_FAILED" and result.codes[0] == "TIMEOUT_CONNECT", result
        assert "a pause before the next connection" in result.texts
        for number in (*numbers, late):
            client.cancel(number)
        assert {result.reason for result in client.finish(*numbers, late)} == {"CANCELLED"}
    assert server.accepted == 2


def test_15_the_pauses_end_when_something_is_served(start_daemon, serve):
    def script(connection):
        if connection.number <= 4:
            turn_away(connection)
        while True:
            connection.respond(connection.request().stream)

    server = serve(script)
    daemon = start_daemon({"pool.backoff": "10ms", "pool.max_backoff": "20ms"})
    with daemon.client() as client:
        numbers = [client.submit(server.url(), method=method) for method in ("GET", "POST", "GET")]
        results = client.finish(*numbers)
        assert [result.reason for result in results] == ["ENDED"] * 3, results
        assert max(len(result.closed.attempts) for result in results) == 5
        assert not client.stats().origins[0].HasField("backoff_ms")
    assert server.accepted == 5


def test_06_a_failure_to_connect_makes_no_pause(start_daemon, certificates):
    """Everybody who waits is told, and the next one tries at once, also behind pauses."""
    daemon = start_daemon({"pool.backoff": "1s", "pool.max_backoff": "1s"})
    with daemon.client() as client:
        with H2Server(certificates.good, turn_away) as server:
            number = client.submit(server.url())
            in_state(client, "FAILED")
        result = client.finish(number)
        assert result.reason == "CONNECT_FAILED" and "CONNECT_REFUSED" in result.codes, result
        result = client.fetch(server.url())
        assert result.reason == "CONNECT_FAILED" and "CONNECT_REFUSED" in result.codes, result
        assert not view(client)


@pytest.mark.parametrize("streams", [1, 3])
def test_14_the_limit_that_jobs_wait_at_is_named(start_daemon, serve, streams):
    def script(connection):
        connection.respond(connection.request().stream)
        connection.idle()

    server = serve(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: streams})
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        client.fetch(server.url())
        numbers = [client.submit(server.url()) for _ in range(streams + 2)]
        last = until(
            lambda: next((job for job in client.list().jobs if job.wait.reason == pb.Wait.STREAM_LIMIT), None),
            "a job that waits for a stream",
        )
        assert last.wait.limit == "SETTINGS_MAX_CONCURRENT_STREAMS" and last.wait.limit_value == streams, last
        assert "pool.max_connections_per_origin" in last.waiting_for
        assert not last.wait.HasField("left_ms")
        connection = only(client)
        assert connection.why == "has all the streams it may have" and connection.streams == streams
        for number in numbers:
            client.cancel(number)
        client.finish(*numbers)


def test_08_waiting_for_a_place_in_the_pool(start_daemon, serve):
    def script(connection):
        connection.request()
        connection.idle()

    servers = [serve(script), serve(simple())]
    daemon = start_daemon({"pool.max_connections": "1", "pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        first = client.submit(servers[0].url())
        servers[0].wait_requests(1)
        second = client.submit(servers[1].url())
        job = until(
            lambda: next((job for job in client.list().jobs if job.wait.reason == pb.Wait.CONNECTION_LIMIT), None),
            "a job that waits for a connection",
        )
        assert job.wait.limit == "pool.max_connections" and job.wait.limit_value == 1, job
        client.cancel(first)
        assert client.finish(second).reason == "ENDED"
        client.finish(first)
