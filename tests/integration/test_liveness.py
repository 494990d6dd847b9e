# SPDX-License-Identifier: MIT
"""Connections whose peer has died without a word: found by PING, not by the next job."""

import threading

import pytest
from h2.events import PingReceived

QUICK = {"http.ping_after": "100ms", "http.ping_timeout": "200ms"}


def dies_after_the_first_answer(alive):
    """The first connection answers one request and is never read again; later ones are fine."""

    def script(connection):
        while True:
            request = connection.request()
            connection.respond(request.stream)
            if connection.number == 1 and not alive:
                connection.wait(threading.Event())

    return script


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_10_a_dead_idle_connection_is_not_found_by_the_next_job(start_daemon, serve, method):
    """Not even by one that could not be sent twice: it is asked before it is used."""
    server = serve(dies_after_the_first_answer(alive=False))
    daemon = start_daemon(QUICK)
    with daemon.client() as client:
        assert client.fetch(server.url()).reason == "ENDED"
        silence(client, 0.15)
        result = client.fetch(server.url(), method=method)
        assert result.reason == "ENDED" and len(result.closed.attempts) == 1, result
        assert result.closed.attempts[0].connection == 2
    assert server.accepted == 2


def test_10_a_live_idle_connection_is_used_again(start_daemon, serve):
    server = serve(dies_after_the_first_answer(alive=True))
    daemon = start_daemon(QUICK)
    with daemon.client() as client:
        assert client.fetch(server.url()).reason == "ENDED"
        silence(client, 0.15)
        result = client.fetch(server.url())
        assert result.reason == "ENDED" and result.closed.attempts[0].connection == 1, result
    assert server.accepted == 1


def test_10_streams_on_a_dead_connection_fail_over(start_daemon, serve):
    """What may go again goes to another connection; what may not is told why."""
    arrived = threading.Event()

    def script(connection):
        if connection.number == 1:
            connection.request()
            connection.request()
            arrived.set()
            connection.wait(threading.Event())
        while True:
            connection.respond(connection.request().stream)

    server = serve(script)
    daemon = start_daemon(QUICK)
    with daemon.client() as client:
        get = client.submit(server.url())
        post = client.submit(server.url(), method="POST")
        get, post = client.finish(get, post)
        assert get.reason == "ENDED" and [attempt.connection for attempt in get.closed.attempts] == [1, 2], get
        assert post.reason == "CONNECTION_LOST" and "http.ping_timeout" in post.texts, post


def test_10_a_slow_answer_on_a_live_connection_is_waited_for(start_daemon, serve):
    """The peer answers PINGs while it thinks: nothing is given up."""
    pings = []

    def script(connection):
        request = connection.request()
        while len(pings) < 3:
            connection.wait_event(PingReceived)
            pings.append(1)
        connection.respond(request.stream)
        connection.idle()

    daemon = start_daemon(QUICK)
    with daemon.client() as client:
        result = client.fetch(serve(script).url())
        assert result.reason == "ENDED" and len(result.closed.attempts) == 1, result


def test_10_a_connection_that_is_asked_is_not_idle(start_daemon, serve):
    """Its job waits for the answer: the only place in the pool is not given to somebody else meanwhile."""
    known, other = serve(dies_after_the_first_answer(alive=True)), serve(dies_after_the_first_answer(alive=True))
    daemon = start_daemon({**QUICK, "pool.max_connections": "1", "pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        assert client.fetch(known.url()).reason == "ENDED"
        silence(client, 0.15)
        first, second = client.finish(client.submit(known.url()), client.submit(other.url()))
        assert first.reason == second.reason == "ENDED", (first, second)
        assert first.closed.attempts[0].connection == 1, first
    assert known.accepted == 1


def silence(client, seconds):
    """Lets that much time pass in which the daemon hears nothing from the server. Time itself is what is tested here."""
    client.read_for(seconds)
