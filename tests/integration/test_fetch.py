# SPDX-License-Identifier: MIT
"""The plain good case against every real server: what a fetch gives, byte for byte."""

import hashlib

import pytest

from support.process import until
from support.protocol import pb


@pytest.mark.parametrize("name", ["empty", "one", "small", "page", "mid", "large"])
def test_file(client, every_origin, documents, name):
    result = client.fetch(every_origin.url(f"/{name}"))
    assert result.reason == "ENDED", result
    assert result.head.status == 200
    assert hashlib.sha256(result.body).hexdigest() == documents.sha256[name]
    assert result.header(b"content-length") == [str(len(result.body)).encode()]
    assert result.head.content_length == len(result.body)
    assert result.kinds[0] == "accepted" and not result.closed.failures


def test_01_exactly_one_closed_always_last(client, every_origin):
    number = client.submit(every_origin.url("/one"))
    assert client.finish(number).reason == "ENDED"
    client.cancel(number)
    client.stop(number)
    client.credit(number, 1)
    client.ping()
    assert len(client.saw(number, "closed")) == 1
    assert client.frames[number][-1].WhichOneof("msg") == "closed"


def test_02_closed_carries_the_account(client, every_origin):
    result = client.fetch(every_origin.url("/mid"))
    closed = result.closed
    assert closed.bytes.payload == closed.bytes.delivered == len(result.body) == 1 << 20
    assert closed.bytes.wire_received > 1 << 20 and closed.bytes.wire_sent > 0
    (attempt,) = closed.attempts
    assert attempt.connection == result.head.connection.connection
    assert attempt.remote == result.head.connection.remote == f"127.0.0.1:{every_origin.port}"
    assert attempt.stream == 1 and attempt.status == 200
    assert attempt.outcome == pb.ENDED
    times = closed.timings
    order = ("connect_us", "tls_us", "queued_us", "sent_us", "first_byte_us", "end_us")
    values = [getattr(times, name) for name in order]
    assert all(times.WhichOneof(f"opt_{name}") for name in order), times
    assert values == sorted(values), times


def test_31_head_names_the_connection(client, every_origin):
    first = client.fetch(every_origin.url("/one")).head.connection
    second = client.fetch(every_origin.url("/one")).head.connection
    assert first.tls_version == "TLS1.3" and "AES" in first.tls_cipher
    assert "good" in first.certificate_subject and first.certificate_expires > 1_700_000_000
    assert not first.reused and second.reused
    assert first.connection == second.connection == 1


def test_many_on_one_connection(client, every_origin, documents):
    numbers = [client.submit(every_origin.url(f"/{name}")) for name in ("small", "page", "mid") * 10]
    for name, result in zip(("small", "page", "mid") * 10, client.finish(*numbers)):
        assert result.reason == "ENDED", result
        assert hashlib.sha256(result.body).hexdigest() == documents.sha256[name]
    pool = client.stats().pool
    assert pool.tls_handshakes == pool.connections_opened == 1
    assert pool.streams_opened == 30 and pool.streams_reused == 29
    assert pool.payload_received == pool.delivered == sum(documents.SIZES[name] for name in ("small", "page", "mid")) * 10


def test_not_found_is_a_success_of_the_fetch(client, every_origin):
    result = client.fetch(every_origin.url("/missing"))
    assert result.reason == "ENDED" and result.head.status == 404


def test_35_head_request_has_no_body(client, every_origin):
    result = client.fetch(every_origin.url("/mid"), method="HEAD")
    assert result.reason == "ENDED", result
    assert result.head.status == 200 and result.body == b""


def test_39_cancelled_mid_body_and_the_connection_lives(client, every_origin, documents):
    """However a server takes the reset: what it had sent already is counted and thrown away."""
    for _ in range(5):
        number = client.submit(every_origin.url("/large"))
        client.wait_received(number, 1)
        client.cancel(number)
        assert client.finish(number).reason == "CANCELLED"
    for result in client.finish(*(client.submit(every_origin.url("/large")) for _ in range(3))):
        assert result.reason == "ENDED", result
        assert hashlib.sha256(result.body).hexdigest() == documents.sha256["large"]
    stats = client.stats()
    assert stats.pool.connections_opened == 1
    assert not stats.pool.streams and not stats.buffered_bytes


def test_40_stopped_mid_body(client, every_origin, documents):
    number = client.submit(every_origin.url("/large"))
    client.wait_received(number, 1)
    client.stop(number)
    result = client.finish(number)
    assert result.reason == "STOP_DOWNLOAD", result
    assert result.body == documents.read("large")[: len(result.body)]


def test_33_max_size_of_what_is_announced(client, every_origin):
    result = client.fetch(every_origin.url("/mid"), max_size=1000)
    assert result.reason == "MAXSIZE_EXCEEDED" and not result.body
    assert client.fetch(every_origin.url("/one")).reason == "ENDED"


def test_tls_session_is_resumed(start_daemon, nginx):
    daemon = start_daemon({"pool.idle_timeout": "1s"})
    with daemon.client() as other:
        first = other.fetch(nginx.url("/one"))
        until(lambda: not other.stats().pool.connections, "the idle connection to be closed")
        second = other.fetch(nginx.url("/one"))
        assert not first.head.connection.tls_resumed
        assert second.head.connection.tls_resumed and not second.head.connection.reused
        assert second.head.connection.connection == 2
        assert other.stats().pool.tls_resumed == 1
    until(lambda: nginx.requests()[-1][1] == "r", "nginx to agree")
