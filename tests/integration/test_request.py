# SPDX-License-Identifier: MIT
"""What goes out: URL, method, header fields and body, as the origin receives them."""

import hpack
import pytest

from support.h2_server import simple
from support.process import needs_ipv6


@pytest.fixture
def server(serve):
    return serve(simple())


def received(client, server, url, headers=(), **fields):
    """Fetches, and returns what the origin got."""
    result = client.fetch(url, headers, **fields)
    assert result.reason == "ENDED", result
    return server.requests[-1]


def pseudo(request):
    return {name.decode(): value.decode() for name, value in request.headers if name.startswith(b":")}


def regular(request):
    return [(name, value) for name, value in request.headers if not name.startswith(b":")]


@pytest.mark.parametrize(
    "written, path",
    [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a?b=c&d=%20e", "/a?b=c&d=%20e"),
        ("?q", "/?q"),
        ("/a?", "/a?"),
        ("/a#fragment", "/a"),
        ("/a?q#fragment?not-a-query", "/a?q"),
        ("#only", "/"),
    ],
)
def test_25_path(client, server, written, path):
    request = received(client, server, server.url("") + written)
    assert pseudo(request) == {
        ":method": "GET",
        ":scheme": "https",
        ":authority": f"localhost:{server.port}",
        ":path": path,
    }


def test_25_options_without_a_path_asks_the_server_itself(client, server):
    assert pseudo(received(client, server, server.url(""), method="OPTIONS"))[":path"] == "*"
    assert pseudo(received(client, server, server.url("/a"), method="OPTIONS"))[":path"] == "/a"


def test_internationalised_host(client, server):
    request = received(client, server, f"https://Bücher.test:{server.port}/")
    assert pseudo(request)[":authority"] == f"xn--bcher-kva.test:{server.port}"


@needs_ipv6
def test_ipv6_literal(client, serve):
    server = serve(simple(), host="::1")
    request = received(client, server, f"https://[::1]:{server.port}/")
    assert pseudo(request)[":authority"] == f"[::1]:{server.port}"


def test_host_is_lower_cased(client, server):
    assert pseudo(received(client, server, f"HTTPS://LocalHost:{server.port}/A"))[":authority"] == f"localhost:{server.port}"


@pytest.mark.parametrize(
    "url, code",
    [
        ("https://user:secret@localhost/", "URL_USERINFO"),
        ("https://user@localhost/", "URL_USERINFO"),
        ("ftp://localhost/", "URL_SCHEME"),
        ("http://localhost/", "CLEARTEXT_NOT_ALLOWED"),
        ("localhost/path", "URL_INVALID"),
        ("/path", "URL_INVALID"),
        ("", "URL_INVALID"),
        ("https:///path", "URL_INVALID URL_HOST"),
        ("https://localhost:0/", "URL_INVALID"),
        ("https://localhost:65536/", "URL_INVALID"),
        ("https://localhost:https/", "URL_INVALID"),
        ("https://[::1/", "URL_INVALID URL_HOST"),
        ("https://-bad-.test/", "URL_HOST"),
        ("https://a..test/", "URL_HOST"),
        ("https://localhost/a b", "URL_INVALID"),
        ("https://localhost/\r\nx: y", "URL_INVALID"),
        ("https://" + "a" * 64 + ".test/", "URL_HOST"),
    ],
)
def test_bad_url_is_denied(client, url, code):
    result = client.fetch(url)
    assert result.reason == "DENIED" and result.kinds[-1] == "closed", result
    assert result.codes[0] in code.split(), result
    assert result.texts and not result.closed.bytes.wire_sent
    assert "secret" not in result.texts
    client.ping()


def test_user_information_is_refused_with_advice(client):
    assert "authorization" in client.fetch("https://user:secret@localhost/").texts.lower()


def test_24_headers_in_order_and_lower_case(client, server):
    sent = [("X-One", "1"), ("accept", "text/plain"), ("X-Two", "a, b"), ("x-one", "again"), ("x-empty", "")]
    request = received(client, server, server.url(), sent)
    wanted = [(name.lower().encode(), value.encode()) for name, value in sent]
    assert [field for field in regular(request) if field in wanted] == wanted
    names = [name for name, _ in request.headers]
    pseudo_count = sum(name.startswith(b":") for name in names)
    assert names[:4] == [b":method", b":scheme", b":authority", b":path"] and pseudo_count == 4


def test_user_agent(client, server):
    request = received(client, server, server.url())
    assert any(value.startswith(b"fetchd/") for value in request.get(b"user-agent"))
    request = received(client, server, server.url(), [("User-Agent", "mine")])
    assert request.get(b"user-agent") == [b"mine"]


def test_24_host(client, server):
    request = received(client, server, server.url(), [("Host", f"localhost:{server.port}")])
    assert not request.get(b"host")
    result = client.fetch(server.url(), [("Host", "elsewhere.test")])
    assert result.reason == "DENIED" and result.codes[0] == "HEADER_INVALID", result


@pytest.mark.parametrize(
    "field",
    [
        ("Connection", "close"),
        ("Keep-Alive", "5"),
        ("Proxy-Connection", "close"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("TE", "gzip"),
        (":path", "/x"),
        ("bad name", "x"),
        ("", "x"),
        ("x", "a\r\nb: c"),
        ("x", "nul\0"),
        ("n" * 257, "x"),
    ],
)
def test_24_bad_header_is_denied(client, server, field):
    """Or, where it breaks a documented length, ends the conversation; the daemon lives either way."""
    number = client.submit(server.url(), [field])
    frame = client.read()
    if frame.WhichOneof("msg") == "goodbye":
        assert frame.goodbye.code == frame.goodbye.BAD_MESSAGE
        return
    result = client.finish(number)
    assert result.reason == "DENIED" and result.codes[0] == "HEADER_INVALID", result
    assert not server.requests


def test_te_trailers_is_allowed(client, server):
    assert received(client, server, server.url(), [("TE", "trailers")]).get(b"te") == [b"trailers"]


def test_26_values_are_bytes(client, server):
    assert received(client, server, server.url(), [(b"x-bytes", b"\xff\xfe\x80")]).get(b"x-bytes") == [b"\xff\xfe\x80"]


@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 100, b"a" * 65_000])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_27_body(client, server, method, body):
    request = received(client, server, server.url("/post"), method=method, body=body)
    assert pseudo(request)[":method"] == method
    assert request.body == body
    assert request.get(b"content-length") == [str(len(body)).encode()]


def test_26_no_content_length_without_a_body(client, server):
    assert not received(client, server, server.url()).get(b"content-length")


def test_26_content_length_of_the_client(client, server):
    headers = [("Content-Length", "3")]
    assert received(client, server, server.url(), headers, method="POST", body=b"abc").get(b"content-length") == [b"3"]
    result = client.fetch(server.url(), headers, method="POST", body=b"abcd")
    assert result.reason == "DENIED" and result.codes[0] == "HEADER_INVALID", result


def test_27_body_waits_for_the_peers_window(client, serve):
    """The peer's window is small, and it opens late and in pieces."""
    from h2.settings import SettingCodes  # pylint: disable=import-outside-toplevel

    body = bytes(range(256)) * 200

    def script(connection):
        connection.respond(connection.request().stream)
        request = connection.request(whole=False)
        while not request.ended:
            connection.h2.increment_flow_control_window(1000, request.stream)
            connection.h2.increment_flow_control_window(1000)
            connection.flush()
            before = len(request.body)
            while len(request.body) == before and not request.ended:
                connection.pump()
        connection.respond(request.stream)
        connection.idle()

    server = serve(script, settings={SettingCodes.INITIAL_WINDOW_SIZE: 100}, acknowledge=False)
    received(client, server, server.url("/settings-are-known"))
    assert received(client, server, server.url(), method="POST", body=body).body == body


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"method": "CONNECT"}, "METHOD_INVALID"),
        ({"method": "GE T"}, "METHOD_INVALID"),
        ({"method": "TRACE", "body": b"x"}, "BODY_INVALID"),
    ],
)
def test_25_bad_method_is_denied(client, server, fields, code):
    result = client.fetch(server.url(), **fields)
    assert result.reason == "DENIED" and result.codes[0] == code, result
    assert not server.requests


def test_methods(client, server):
    for method in ("DELETE", "PROPFIND", "X-OWN"):
        assert pseudo(received(client, server, server.url(), method=method))[":method"] == method


@pytest.mark.parametrize("name", ["authorization", "cookie", "proxy-authorization"])
def test_29_secrets_are_never_indexed_and_never_logged(start_daemon, server, name):
    daemon = start_daemon(log_level="debug")
    with daemon.client() as client:
        for _ in range(2):
            request = received(client, server, server.url(), [(name, "open-sesame"), ("accept", "text/plain")])
            fields = {key: field for field in request.headers for key in [field[0]]}
            assert isinstance(fields[name.encode()], hpack.NeverIndexedHeaderTuple)
            assert not isinstance(fields[b"accept"], hpack.NeverIndexedHeaderTuple)
            assert fields[name.encode()][1] == b"open-sesame"
    assert "open-sesame" not in daemon.log()


def test_28_early_response_to_an_upload(client, serve):
    """The answer comes while the upload is blocked; it is delivered, and the connection lives on."""
    from h2.settings import SettingCodes  # pylint: disable=import-outside-toplevel

    def script(connection):
        connection.respond(connection.request().stream)
        request = connection.request(whole=False)
        connection.respond(request.stream, 413, body=b"too much")
        assert connection.wait_reset(request.stream) in (0, 8)
        connection.h2.increment_flow_control_window(1000)
        connection.flush()
        connection.respond(connection.request().stream, 200)
        connection.idle()

    server = serve(script, settings={SettingCodes.INITIAL_WINDOW_SIZE: 10}, acknowledge=False)
    received(client, server, server.url("/settings-are-known"))
    result = client.fetch(server.url(), method="POST", body=b"x" * 60_000)
    assert result.reason == "ENDED" and result.head.status == 413 and result.body == b"too much", result
    assert client.fetch(server.url()).head.status == 200
    assert server.accepted == 1


def test_28_early_response_of_nginx(client, nginx):
    for _ in range(3):
        result = client.fetch(nginx.url("/early"), method="POST", body=b"x" * 60_000)
        assert result.reason == "ENDED" and result.body == b"early", result


def test_cleartext_where_it_is_allowed(start_daemon, serve):
    daemon = start_daemon({"pool.h2c_hosts": "good.test, 127.0.0.1"})
    server = serve(simple(), tls=False)
    with daemon.client() as client:
        for host in ("good.test", "127.0.0.1"):
            result = client.fetch(server.url(host=host))
            assert result.reason == "ENDED" and result.body == b"hello\n", result
            assert pseudo(server.requests[-1])[":scheme"] == "http"
            assert result.head.connection.tls_version == ""
        assert client.fetch(server.url(host="other.test")).codes[0] == "CLEARTEXT_NOT_ALLOWED"


@pytest.mark.parametrize(
    "priority, headers, sent",
    [
        (0, [], []),
        (2, [], []),
        (1, [], [b"u=5"]),
        (3, [], [b"u=2"]),
        (4, [], [b"u=1"]),
        (4, [("Priority", "u=7, i")], [b"u=7, i"]),
    ],
    ids=["unspecified", "normal", "low", "high", "urgent", "own"],
)
def test_30_priority_field(client, serve, priority, headers, sent):
    server = serve(simple())
    assert client.fetch(server.url(), headers, priority=priority).reason == "ENDED"
    assert server.wait_requests(1)[0].get(b"priority") == sent
