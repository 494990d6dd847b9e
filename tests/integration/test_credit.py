# SPDX-License-Identifier: MIT
"""Credit: not a byte beyond what the client granted, and one client's standstill is nobody else's."""

import hashlib

import pytest

from support.h2_server import answer_all
from support.process import until
from support.protocol import pb

QUIET = 0.3


def test_no_byte_beyond_the_credit(client, origin, documents):
    number = client.submit(origin.url("/mid"), initial_credit=0)
    client.wait(number, "head")
    client.read_for(QUIET)
    assert client.received(number) == 0
    granted = 0
    for amount in (1, 1, 999, 16_383, 16_384, 16_385, 65_536, 65_537, 100_000):
        client.credit(number, amount)
        granted += amount
        client.wait_received(number, granted)
        client.ping()
        assert client.received(number) == granted
    client.read_for(QUIET)
    assert client.received(number) == granted
    client.credit(number, (1 << 20) - granted)
    result = client.finish(number, refill=False)
    assert result.reason == "ENDED" and hashlib.sha256(result.body).hexdigest() == documents.sha256["mid"]
    assert all(len(data) <= 65_536 for data in result.of("body", lambda body: body.data))


def test_default_credit(client, origin):
    number = client.submit(origin.url("/large"))
    client.wait_received(number, client.default_credit)
    client.read_for(QUIET)
    assert client.received(number) == client.default_credit == 256 << 10
    client.cancel(number)
    assert client.finish(number, refill=False).reason == "CANCELLED"


def test_credit_is_capped(client, origin):
    """The sum outstanding never exceeds the announced maximum, however much is granted."""
    number = client.submit(origin.url("/large"), initial_credit=0)
    client.wait(number, "head")
    maximum = client.hello.max_credit_bytes
    for _ in range(3):
        client.credit(number, (1 << 63) + maximum)
    client.ping()
    result = client.finish(number, refill=maximum < 16 << 20)
    assert result.reason == "ENDED" and len(result.body) == 16 << 20, result


def test_empty_body_needs_no_credit(client, origin):
    assert client.fetch(origin.url("/empty"), initial_credit=0).reason == "ENDED"


def test_exact_credit_ends(client, origin):
    assert client.fetch(origin.url("/small"), initial_credit=1024).reason == "ENDED"


def test_cancel_at_credit_zero(client, origin):
    number = client.submit(origin.url("/large"), initial_credit=0)
    client.wait(number, "head")
    client.cancel(number)
    assert client.finish(number).reason == "CANCELLED"


def test_09_stalled_jobs_do_not_stall_their_neighbours(client, every_origin, documents):
    """More stalled streams than the connection window holds by itself, on one connection."""
    stalled = [client.submit(every_origin.url("/large"), initial_credit=0) for _ in range(20)]
    for number in stalled:
        client.wait(number, "head")
    for _ in range(3):
        result = client.fetch(every_origin.url("/large"))
        assert result.reason == "ENDED", result
        assert hashlib.sha256(result.body).hexdigest() == documents.sha256["large"]
    assert not any(client.received(number) for number in stalled)
    assert client.stats().pool.connections == 1
    for number in stalled[10:]:
        client.cancel(number)
    client.finish(*stalled[10:])
    for result in client.finish(*(grant(client, number) for number in stalled[:10])):
        assert result.reason == "ENDED"
        assert hashlib.sha256(result.body).hexdigest() == documents.sha256["large"]


def grant(client, number):
    client.credit(number, client.default_credit)
    return number


def test_09_client_that_does_not_read_its_socket(daemon, client, origin):
    """It has all the credit it wants and takes nothing; the daemon buffers a bounded part and serves others."""
    with daemon.client(receive_buffer=4096) as sleeper:
        number = sleeper.submit(origin.url("/large"), initial_credit=sleeper.hello.max_credit_bytes)
        client.fetch(origin.url("/large"))
        buffered = client.stats().buffered_bytes
        assert buffered <= client.stats().budget_bytes
        for _ in range(3):
            assert client.fetch(origin.url("/mid")).reason == "ENDED"
        result = sleeper.finish(number)
        assert result.reason == "ENDED" and len(result.body) == 16 << 20, result


def test_37_discarded_data_is_returned_to_the_connection(client, serve):
    """The server goes on sending for streams that were cancelled, as much as the windows allow: a connection window that
    is not given back for what is thrown away would stall the last fetch."""

    def respond(connection, request):
        if b"/last" in request.get(b":path"):
            connection.respond(request.stream, body=b"y" * (4 << 20))
            return
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"x" * 60_000)

    server = serve(answer_all(respond))
    for _ in range(100):
        number = client.submit(server.url("/"), initial_credit=1)
        client.wait_received(number, 1)
        client.cancel(number)
        assert client.finish(number).reason == "CANCELLED"
    result = client.fetch(server.url("/last"))
    assert result.reason == "ENDED" and len(result.body) == 4 << 20, result
    assert server.accepted == 1


def test_37_unread_bodies_of_a_vanished_client(daemon, serve):
    def respond(connection, request):
        connection.respond(request.stream, body=b"x" * (1 << 20))

    server = serve(answer_all(respond))
    for _ in range(20):
        with daemon.client() as brief:
            number = brief.submit(server.url())
            brief.wait_received(number, 1000)
    with daemon.client() as client:
        until(lambda: client.stats().clients == 1, "the others to be gone")
        assert len(client.fetch(server.url()).body) == 1 << 20
        until(lambda: client.stats().pool.streams == 0, "no stream to be left")


def test_stream_window_follows_the_client(client, serve):
    """What the server was allowed to send and the client did not take stays within one stream window."""
    connections = []

    def script(connection):
        connections.append(connection)
        request = connection.request()
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"x" * (64 << 20), end=True)
        connection.idle()

    number = client.submit(serve(script).url(), initial_credit=100_000)
    client.wait_received(number, 100_000)
    client.read_for(QUIET)
    stats = client.stats()
    sent = connections[0].sent[1]
    assert client.received(number) == 100_000
    assert sent <= 100_000 + (256 << 10), "http.stream_window"
    assert stats.buffered_bytes <= 256 << 10
    client.cancel(number)
    assert client.finish(number, refill=False).reason == "CANCELLED"


@pytest.mark.parametrize("amount", [0, 1])
def test_credit_for_a_closed_job_is_ignored(client, origin, amount):
    number = client.submit(origin.url("/one"))
    assert client.finish(number).reason == "ENDED"
    client.send(pb.ClientFrame(id=number, credit=pb.Credit(bytes=amount)))
    client.ping()
