# SPDX-License-Identifier: MIT
"""The plain good case against every real server: what a fetch gives, byte for byte."""

import hashlib

import pytest

from support.process import until
from support.protocol import pb


@pytest.mark.parametrize("name", ["empty", "one", "small", "page", "mid", "large"])
def test_file(client, origin, documents, name):
    result = client.fetch(origin.url(f"/{name}"))
    assert result.reason == "ENDED", result
    assert result.head.status == 200
    assert hashlib.sha256(result.body).hexdigest() == documents.sha256[name]
    assert result.header(b"content-length") == [str(len(result.body)).encode()]
    assert result.head.content_length == len(result.body)
    assert result.kinds[0] == "accepted" and not result.closed.failures


def test_01_exactly_one_closed_always_last(client, origin):
    number = client.submit(origin.url("/one"))
    assert client.finish(number).reason == "ENDED"
    client.cancel(number)
    client.stop(number)
    client.credit(number, 1)
    client.ping()
    assert len(client.saw(number, "closed")) == 1
    assert client.frames[number][-1].WhichOneof("msg") == "closed"


def test_02_closed_carries_the_account(client, origin):
    result = client.fetch(origin.url("/mid"))
    closed = result.closed
    assert closed.bytes.payload == closed.bytes.delivered == len(result.body) == 1 << 20
    assert closed.bytes.wire_received > 1 << 20 and closed.bytes.wire_sent > 0
    (attempt,) = closed.attempts
    assert attempt.connection == result.head.connection.connection
    assert attempt.remote == result.head.connection.remote == f"127.0.0.1:{origin.port}"
    assert attempt.stream == 1 and attempt.status == 200
    assert attempt.outcome == pb.ENDED
    times = closed.timings
    order = ("connect_us", "tls_us", "queued_us", "sent_us", "first_byte_us", "end_us")
    values = [getattr(times, name) for name in order]
    assert all(times.WhichOneof(f"opt_{name}") for name in order), times
    assert values == sorted(values), times


def test_31_head_names_the_connection(client, origin):
    first = client.fetch(origin.url("/one")).head.connection
    second = client.fetch(origin.url("/one")).head.connection
    assert first.tls_version == "TLS1.3" and "AES" in first.tls_cipher
    assert "good" in first.certificate_subject and first.certificate_expires > 1_700_000_000
    assert not first.reused and second.reused
    assert first.connection == second.connection == 1


def test_many_on_one_connection(client, origin, documents):
    numbers = [client.submit(origin.url(f"/{name}")) for name in ("small", "page", "mid") * 10]
    for name, result in zip(("small", "page", "mid") * 10, client.finish(*numbers)):
        assert result.reason == "ENDED", result
        assert hashlib.sha256(result.body).hexdigest() == documents.sha256[name]
    pool = client.stats().pool
    assert pool.tls_handshakes == pool.connections_opened == 1
    assert pool.streams_opened == 30 and pool.streams_reused == 29
    assert pool.payload_received == pool.delivered == sum(documents.SIZES[name] for name in ("small", "page", "mid")) * 10


def test_not_found_is_a_success_of_the_fetch(client, origin):
    result = client.fetch(origin.url("/missing"))
    assert result.reason == "ENDED" and result.head.status == 404


def test_35_head_request_has_no_body(client, origin):
    result = client.fetch(origin.url("/mid"), method="HEAD")
    assert result.reason == "ENDED", result
    assert result.head.status == 200 and result.body == b""


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
