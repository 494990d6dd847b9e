# SPDX-License-Identifier: MIT
"""Finding and reaching the origin, and every way in which that fails: each is named, each is over at once, and the next
good job to the same origin works."""

import socket
import ssl

import pytest

from support import process
from support.h2_server import H2Server, RawServer, simple
from support.origins import Nginx
from support.process import needs_ipv6


def assert_works(client, url):
    result = client.fetch(url)
    assert result.reason == "ENDED", result
    assert result.head.status == 200


@pytest.mark.parametrize(
    "fault, code, words",
    [
        ("untrusted", "TLS_CERT_UNTRUSTED", ()),
        ("expired", "TLS_CERT_EXPIRED", ()),
        ("misnamed", "TLS_CERT_NAME", ("localhost",)),
    ],
)
def test_12_certificate(client, serve, certificates, fault, code, words):
    server = serve(simple(), pair=getattr(certificates, fault))
    result = client.fetch(server.url())
    assert result.reason == "CONNECT_FAILED", result
    assert code in result.codes, result
    assert result.closed.attempts[0].stream == 0 and not server.requests
    for word in words:
        assert word in result.texts
    server.use(certificates.good)
    assert_works(client, server.url())


@pytest.mark.parametrize("fault", ["untrusted", "expired", "misnamed"])
def test_12_certificate_of_nginx(client, certificates, documents, tmp_path, fault):
    with Nginx(tmp_path, getattr(certificates, fault), documents) as bad:
        assert client.fetch(bad.url("/one")).reason == "CONNECT_FAILED"
        assert not bad.requests()
    with Nginx(tmp_path, certificates.good, documents, port=bad.port) as good:
        assert_works(client, good.url("/one"))


def test_address_in_the_certificate(client, serve):
    assert_works(client, serve(simple()).url(host="127.0.0.1"))


def test_refused_port(client, certificates):
    port = process.free_port()
    result = client.fetch(f"https://localhost:{port}/")
    assert result.reason == "CONNECT_FAILED" and "CONNECT_REFUSED" in result.codes, result
    with H2Server(certificates.good, simple(), port=port) as server:
        assert_works(client, server.url())


def test_06_every_waiting_job_fails_at_once(client, certificates):
    port = process.free_port()
    numbers = [client.submit(f"https://v4.test:{port}/{index}") for index in range(20)]
    assert {result.reason for result in client.finish(*numbers)} == {"CONNECT_FAILED"}
    with H2Server(certificates.good, simple(), port=port) as server:
        assert_works(client, server.url(host="v4.test"))


def test_name_that_does_not_exist(client, nameserver, serve):
    server = serve(simple())
    result = client.fetch(server.url(host="late.test"))
    assert result.reason == "CONNECT_FAILED" and "DNS_NOT_FOUND" in result.codes, result
    assert "late.test" in result.texts
    nameserver.add("late.test", "127.0.0.1")
    result = client.fetch(server.url(host="late.test"))
    assert "TLS_CERT_NAME" in result.codes, "found now; the certificate is for other names"


def test_name_without_an_address(client):
    result = client.fetch("https://empty.test/")
    assert result.reason == "CONNECT_FAILED" and "DNS_NOT_FOUND" in result.codes, result


def test_resolver_that_refuses(client):
    result = client.fetch("https://outside.invalid-zone/")
    assert result.reason == "CONNECT_FAILED" and "DNS_FAILED" in result.codes, result


def test_resolver_that_is_silent(start_daemon, serve):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{hole.getsockname()[1]}"
        daemon = start_daemon({"dns.servers": address, "dns.timeout": "300ms", "dns.tries": "1"})
        with daemon.client() as client:
            result = client.fetch("https://good.test/")
            assert result.reason == "CONNECT_FAILED" and "DNS_TIMEOUT" in result.codes, result
            assert_works(client, serve(simple()).url(host="127.0.0.1"))


def test_11_silent_port(client, certificates):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        result = client.fetch(f"https://localhost:{port}/", connect_timeout_ms=300)
    assert result.reason == "CONNECT_FAILED" and "TIMEOUT_CONNECT" in result.codes, result
    assert len(result.codes) > 1, "says how far it came"
    with H2Server(certificates.good, simple(), port=port) as server:
        assert_works(client, server.url())


@pytest.mark.parametrize("key", ["job.connect_timeout", "pool.connect_timeout"])
def test_configured_connect_timeout(start_daemon, key):
    daemon = start_daemon({key: "300ms"})
    with socket.socket() as listener, daemon.client() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        result = client.fetch(f"https://localhost:{listener.getsockname()[1]}/")
        assert result.reason == "CONNECT_FAILED" and "TIMEOUT_CONNECT" in result.codes, result


@pytest.mark.parametrize("alpn", [("http/1.1",), ()])
def test_11_no_h2_by_alpn(client, serve, certificates, alpn):
    server = serve(simple(), alpn=alpn)
    server.handle = lambda sock, number: sock.recv(1)
    result = client.fetch(server.url())
    assert result.reason == "CONNECT_FAILED" and "ALPN_MISMATCH" in result.codes, result
    assert "h2" in result.texts
    server.alpn = ("h2",)
    server.use(certificates.good)
    del server.handle
    assert_works(client, server.url())


def test_11_http1_only_nginx(client, certificates, documents, tmp_path):
    with Nginx(tmp_path, certificates.good, documents, http2="") as server:
        result = client.fetch(server.url("/one"))
    assert result.reason == "CONNECT_FAILED" and "ALPN_MISMATCH" in result.codes, result
    with Nginx(tmp_path, certificates.good, documents, port=server.port) as good:
        assert_works(client, good.url("/one"))


def test_22_http1_text_on_an_h2_connection(client, certificates):
    def script(sock, _):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 405 Method \x1b[31mNot Allowed\r\nContent-Length: 0\r\n\r\n")
        while sock.recv(65536):
            pass

    with RawServer(certificates.good, script) as server:
        result = client.fetch(server.url())
    assert result.reason in ("CONNECT_FAILED", "PROTOCOL_ERROR"), result
    assert "NOT_HTTP2" in result.codes, result
    assert "HTTP/1.1 405 Method" in result.texts
    assert all(character.isprintable() for character in result.texts)
    with H2Server(certificates.good, simple(), port=server.port) as good:
        assert_works(client, good.url())


def test_peer_that_hangs_up_in_the_handshake(client, certificates):
    def script(sock, _):
        sock.recv(1)

    with RawServer(None, script, tls=False) as server:
        result = client.fetch(f"https://localhost:{server.port}/")
    assert result.reason == "CONNECT_FAILED", result
    assert set(result.codes) & {"TLS_HANDSHAKE", "CONNECTION_CLOSED", "CONNECTION_ERROR"}, result
    with H2Server(certificates.good, simple(), port=server.port) as good:
        assert_works(client, good.url())


def test_peer_that_speaks_no_tls(client):
    def script(sock, _):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        sock.recv(65536)

    with RawServer(None, script, tls=False) as server:
        result = client.fetch(f"https://localhost:{server.port}/")
        assert result.reason == "CONNECT_FAILED" and "TLS_HANDSHAKE" in result.codes, result


def test_tls12(client, serve, certificates):
    server = serve(simple())
    server.use(certificates.good, maximum=ssl.TLSVersion.TLSv1_2)
    result = client.fetch(server.url())
    assert result.reason == "ENDED" and result.head.connection.tls_version == "TLS1.2"


@pytest.mark.parametrize(
    "host, name",
    [("127.0.0.1", "dual.test"), pytest.param("::1", "dual.test", marks=needs_ipv6), ("127.0.0.1", "many.test")],
)
def test_all_addresses_are_tried(client, serve, host, name):
    server = serve(simple(), host=host)
    result = client.fetch(server.url(host=name))
    assert result.reason == "ENDED", result
    shown = f"[{host}]" if ":" in host else host
    assert result.head.connection.remote == f"{shown}:{server.port}"


def test_every_refused_address_is_named(client):
    result = client.fetch(f"https://many.test:{process.free_port()}/")
    assert result.reason == "CONNECT_FAILED", result
    assert "127.0.0.1" in result.texts and "127.0.0.2" in result.texts


@needs_ipv6
def test_silent_first_address_does_not_hold_up_the_second(client, serve):
    """RFC 8305: [::1] accepts nothing (its backlog is full), 127.0.0.1 answers."""
    server = serve(simple())
    with socket.socket(socket.AF_INET6) as full:
        full.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        full.bind(("::1", server.port))
        full.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket(socket.AF_INET6)
            filler.setblocking(False)
            filler.connect_ex(("::1", server.port))
            fillers.append(filler)
        result = client.fetch(server.url(host="dual.test"))
        for filler in fillers:
            filler.close()
    assert result.reason == "ENDED", result
    assert result.head.connection.remote == f"127.0.0.1:{server.port}"


def test_45_retry_of_a_failed_connection(start_daemon, certificates):
    daemon = start_daemon({"job.backoff": "50ms", "job.max_attempts": "16", "job.max_backoff": "100ms"})
    port = process.free_port()
    with daemon.client() as client:
        number = client.submit(f"https://localhost:{port}/", retry_allowed=True, progress_interval_ms=50)
        client.wait(number, "progress")
        while not any(progress.state == 5 for progress in client.saw(number, "progress")):
            client.read()
        with H2Server(certificates.good, simple(), port=port) as server:
            result = client.finish(number)
            assert result.reason == "ENDED" and server.accepted == 1, result
        assert len(result.closed.attempts) > 1
        assert client.stats().jobs.retries >= 1


def test_lookups_are_counted(start_daemon, serve):
    """One for each name that is dialed; addresses and connections that are there need none."""
    server = serve(simple())
    daemon = start_daemon()
    with daemon.client() as client:
        assert client.fetch(server.url(host="good.test")).reason == "ENDED"
        assert client.stats().pool.dns_lookups == 1
        assert client.fetch(server.url(host="good.test")).reason == "ENDED"
        assert client.fetch(server.url(host="127.0.0.1")).reason == "ENDED"
        assert client.stats().pool.dns_lookups == 1
