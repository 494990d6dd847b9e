# SPDX-License-Identifier: MIT
"""What comes back: interim responses, the head, the body, trailers, and how a stream or a connection ends badly."""

import contextlib
import gzip
import ssl
import threading

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from support.h2_server import H2Server, RawServer, answer_all, simple
from support.origins import Nghttpd


def test_31_head_keeps_order_and_repeats(client, serve):
    fields = [("x-b", "1"), ("set-cookie", "a=1"), ("x-a", "2"), ("set-cookie", "b=2"), ("x-b", "3"), ("x-empty", "")]
    result = client.fetch(serve(simple(200, fields)).url())
    assert [(name.decode(), value.decode()) for name, value in result.headers] == [*fields, ("content-length", "6")]


def test_26_header_values_are_bytes(client, serve):
    result = client.fetch(serve(simple(200, [(b"x-bytes", b"\xff\x80 \xe4")])).url())
    assert result.header(b"x-bytes") == [b"\xff\x80 \xe4"]


def test_31_interim_responses(client, serve):
    def respond(connection, request):
        connection.headers(request.stream, 100)
        connection.headers(request.stream, 103, [("link", "</a>; rel=preload"), ("link", "</b>")])
        connection.respond(request.stream, 200, body=b"final")

    result = client.fetch(serve(answer_all(respond)).url())
    assert result.reason == "ENDED" and result.body == b"final", result
    assert [interim.status for interim in result.of("informational")] == [100, 103]
    assert [field.value for field in result.of("informational")[1].headers] == [b"</a>; rel=preload", b"</b>"]
    assert result.kinds.index("informational") < result.kinds.index("head")


def test_23_too_many_interim_responses(client, serve):
    def respond(connection, request):
        for _ in range(1000):
            connection.headers(request.stream, 103, [("link", "x")])
        connection.respond(request.stream, 200)

    result = client.fetch(serve(answer_all(respond)).url())
    assert result.reason == "PROTOCOL_ERROR" and "TOO_MANY_INFORMATIONAL" in result.codes, result
    assert result.head is None


def test_31_trailers(client, serve):
    def respond(connection, request):
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"body")
        connection.trailers(request.stream, [("x-checksum", "1"), ("x-checksum", "2")])

    result = client.fetch(serve(answer_all(respond)).url())
    assert result.reason == "ENDED" and result.body == b"body", result
    (trailers,) = result.of("trailers")
    assert [(field.name, field.value) for field in trailers.headers] == [(b"x-checksum", b"1"), (b"x-checksum", b"2")]
    assert result.kinds.index("trailers") > result.kinds.index("body")


def test_31_trailers_of_nghttpd(client, certificates, documents, tmp_path):
    with Nghttpd(tmp_path, certificates.good, documents, trailer="x-after: yes") as server:
        result = client.fetch(server.url("/page"))
    assert result.reason == "ENDED" and result.body == documents.read("page"), result
    assert [(field.name, field.value) for field in result.of("trailers")[0].headers] == [(b"x-after", b"yes")]


@pytest.mark.parametrize("status", [204, 304])
def test_35_no_body_by_status(client, serve, status):
    fields = [("content-length", "1000")] if status == 304 else []

    def respond(connection, request):
        connection.headers(request.stream, status, fields, end=True)

    result = client.fetch(serve(answer_all(respond)).url())
    assert result.reason == "ENDED" and result.head.status == status and result.body == b"", result


def test_35_content_length_of_a_head_response(client, serve):
    def respond(connection, request):
        connection.headers(request.stream, 200, [("content-length", "1000")], end=True)

    result = client.fetch(serve(answer_all(respond)).url(), method="HEAD")
    assert result.reason == "ENDED" and result.head.content_length == 1000, result


def test_35_content_length_is_optional(client, serve, certificates, documents, tmp_path):
    def respond(connection, request):
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"some")
        connection.data(request.stream, b"", end=True)

    result = client.fetch(serve(answer_all(respond)).url())
    assert result.reason == "ENDED" and result.body == b"some" and not result.head.WhichOneof("opt_content_length")
    with Nghttpd(tmp_path, certificates.good, documents, no_content_length=True) as server:
        result = client.fetch(server.url("/mid"))
    assert result.reason == "ENDED" and result.body == documents.read("mid")


def test_33_padding_does_not_count(client, serve):
    def respond(connection, request):
        connection.headers(request.stream, 200, [("content-length", "1000")])
        for index in range(10):
            connection.data(request.stream, b"x" * 100, end=index == 9, padding=255)

    result = client.fetch(serve(answer_all(respond)).url(), max_size=1000)
    assert result.reason == "ENDED" and len(result.body) == 1000, result
    assert result.closed.bytes.payload == 1000
    assert result.closed.bytes.wire_received >= 3560


def test_33_padding_of_nghttpd(client, certificates, documents, tmp_path):
    with Nghttpd(tmp_path, certificates.good, documents, padding=200) as server:
        result = client.fetch(server.url("/mid"))
    assert result.reason == "ENDED" and result.body == documents.read("mid"), result


@pytest.mark.parametrize("announced, sent, code", [(10, 4, "LENGTH_SHORT"), (10, 0, "LENGTH_SHORT"), (4, 10, "LENGTH_LONG")])
def test_36_length_mismatch_ends_that_stream_only(client, serve, announced, sent, code):
    finish = threading.Event()

    def script(connection):
        good, bad = connection.request(), connection.request()
        connection.headers(good.stream, 200, [("content-length", "6")])
        connection.data(good.stream, b"abc")
        connection.headers(bad.stream, 200, [("content-length", str(announced))], end=False)
        connection.data(bad.stream, b"x" * sent, end=True)
        connection.wait(finish)
        connection.data(good.stream, b"def", end=True)
        connection.idle()

    server = serve(script)
    good, bad = client.submit(server.url("/good")), client.submit(server.url("/bad"), replay_allowed=False)
    result = client.finish(bad)
    assert result.reason == "LENGTH_MISMATCH" and code in result.codes, result
    assert len(result.body) <= min(announced, sent)
    finish.set()
    assert client.finish(good).body == b"abcdef"
    assert server.accepted == 1


@pytest.mark.parametrize("when", ["before the head", "mid-body"])
@pytest.mark.parametrize("code", [ErrorCodes.INTERNAL_ERROR, ErrorCodes.CANCEL, ErrorCodes.ENHANCE_YOUR_CALM])
def test_reset_says_its_code(client, serve, when, code):
    def respond(connection, request):
        if when == "mid-body":
            connection.headers(request.stream, 200)
            connection.data(request.stream, b"part")
        connection.reset(request.stream, code)

    server = serve(answer_all(respond))
    result = client.fetch(server.url(), replay_allowed=False)
    assert result.reason == "RESET" and result.codes[0] == "H2_RESET", result
    assert result.closed.failures[0].h2_code == code
    assert result.body == (b"part" if when == "mid-body" else b"")
    assert server.accepted == 1, "the connection is not to blame"


def test_17_stream_error_kills_that_stream_only(client, serve):
    """An upper-case field name is malformed (RFC 9113, section 8.2.1)."""

    def respond(connection, request):
        bad = b"/bad" in request.get(b":path")
        connection.respond(request.stream, 200, [("X-Upper" if bad else "x-lower", "1")])

    server = serve(answer_all(respond))
    bad = client.fetch(server.url("/bad"), replay_allowed=False)
    assert bad.reason == "PROTOCOL_ERROR" and "H2_STREAM_ERROR" in bad.codes, bad
    assert client.fetch(server.url("/good")).reason == "ENDED"
    assert server.accepted == 1


def test_23_header_list_too_large(start_daemon, serve):
    daemon = start_daemon({"http.max_header_list": "16K"})

    def respond(connection, request):
        big = b"/big" in request.get(b":path")
        connection.respond(request.stream, 200, [(f"x-{index}", "v" * 1000) for index in range(40 if big else 4)])

    server = serve(answer_all(respond))
    with daemon.client() as client:
        result = client.fetch(server.url("/big"), replay_allowed=False)
        assert result.reason == "PROTOCOL_ERROR" and "HEADERS_TOO_LARGE" in result.codes, result
        assert client.fetch(server.url("/small")).reason == "ENDED"
    assert server.accepted == 1


def test_23_too_many_headers(start_daemon, serve):
    daemon = start_daemon({"http.max_headers": "20"})
    with daemon.client() as client:
        result = client.fetch(serve(simple(200, [(f"x-{index}", "v") for index in range(30)])).url(), replay_allowed=False)
        assert result.reason == "PROTOCOL_ERROR" and "HEADERS_TOO_LARGE" in result.codes, result


@pytest.mark.parametrize(
    "frame",
    [
        (0, 0, 0, b"data on stream 0"),
        (6, 0, 0, b"short"),
        (4, 0, 0, b"\0\4\xff\xff\xff\xff"),
        (8, 0, 0, b"\0\0\0\0"),
        (9, 4, 1, b"continuation of nothing"),
        (1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        (5, 4, 1, b"\0\0\0\2\x82\x84\x87\x41\x09localhost"),
    ],
    ids=["data-0", "ping-size", "window-size", "window-0", "continuation", "hpack", "push"],
)
def test_17_connection_error(client, serve, frame):
    broken = threading.Event()

    def script(connection):
        request = connection.request()
        if not broken.is_set():
            broken.set()
            connection.frame(*frame)
            connection.idle()
        connection.respond(request.stream)
        connection.idle()

    server = serve(script)
    result = client.fetch(server.url(), replay_allowed=False)
    assert result.reason == "PROTOCOL_ERROR", result
    assert set(result.codes) & {"H2_CONNECTION_ERROR", "H2_STREAM_ERROR"}, result
    assert client.fetch(server.url()).reason == "ENDED"


def test_17_frame_too_large(client, serve):
    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200)
        connection.frame(0, 0, request.stream, b"x" * (1 << 20))
        connection.idle()

    result = client.fetch(serve(script).url(), replay_allowed=False)
    assert result.reason == "PROTOCOL_ERROR", result


def test_18_unknown_frames_and_settings_are_ignored(client, serve):
    def script(connection):
        request = connection.request()
        connection.frame(0xFA, 0xFF, 0, b"what is this")
        connection.frame(0xFA, 0, request.stream, b"")
        connection.frame(4, 0, 0, b"\xfa\xfa\0\0\0\1")
        connection.respond(request.stream)
        connection.idle()

    assert client.fetch(serve(script).url()).reason == "ENDED"


@pytest.mark.parametrize("graceful", [False, True])
def test_20_loss_of_the_connection_mid_body(client, serve, graceful):
    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200, [("content-length", "100")])
        connection.data(request.stream, b"part")
        connection.wait(seen)
        if graceful:
            with contextlib.suppress(ssl.SSLError):
                connection.socket.unwrap()
        connection.abort()

    seen = threading.Event()
    server = serve(script)
    number = client.submit(server.url())
    client.wait_received(number, 4)
    seen.set()
    result = client.finish(number)
    assert result.reason == "CONNECTION_LOST" and result.body == b"part", result
    assert set(result.codes) & {"CONNECTION_CLOSED", "CONNECTION_ERROR"}, result
    (attempt,) = result.closed.attempts
    assert not attempt.replay_safe and attempt.why


def test_20_loss_of_an_idle_connection_is_nobodys_failure(client, serve):
    def script(connection):
        connection.respond(connection.request().stream)
        connection.abort()

    server = serve(script)
    for _ in range(3):
        assert client.fetch(server.url()).reason == "ENDED"
    assert server.accepted == 3


def test_rst_after_the_whole_body_changes_nothing(client, serve):
    def respond(connection, request):
        connection.respond(request.stream, 200, body=b"whole")
        connection.frame(3, 0, request.stream, int(ErrorCodes.CANCEL).to_bytes(4, "big"))

    server = serve(answer_all(respond))
    for _ in range(5):
        result = client.fetch(server.url())
        assert result.reason == "ENDED" and result.body == b"whole", result


def test_server_with_a_tiny_frame_at_a_time(client, serve):
    def respond(connection, request):
        connection.headers(request.stream, 200)
        for index in range(500):
            connection.data(request.stream, bytes([index & 255]))
        connection.data(request.stream, b"", end=True)

    result = client.fetch(serve(answer_all(respond)).url())
    assert result.body == bytes(index & 255 for index in range(500)), result


def test_settings_that_change_the_window_mid_way(client, serve):
    def script(connection):
        for size in (1, 70_000, 10):
            connection.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size, SettingCodes.MAX_FRAME_SIZE: 16384 + size})
            connection.flush()
            connection.respond(connection.request().stream, body=bytes([size & 255]) * 100_000)
        connection.idle()

    server = serve(script)
    for size in (1, 70_000, 10):
        assert client.fetch(server.url(), method="POST", body=b"z").body == bytes([size & 255]) * 100_000


def test_garbage_instead_of_frames(client, certificates):
    def script(sock, _):
        sock.recv(65536)
        sock.sendall(b"\xff" * 100_000)
        while sock.recv(65536):
            pass

    with RawServer(certificates.good, script) as server:
        result = client.fetch(server.url(), replay_allowed=False)
        assert result.reason in ("PROTOCOL_ERROR", "CONNECT_FAILED"), result
    with H2Server(certificates.good, simple(), port=server.port) as server:
        assert client.fetch(server.url()).reason == "ENDED"


def test_32_body_in_order_with_offsets_and_undecoded(client, serve):
    """As it came: nothing is decoded unasked, and each chunk says where it belongs."""
    packed = gzip.compress(bytes(range(256)) * 4096, compresslevel=1)

    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200, [("content-encoding", "gzip")])
        for start in range(0, len(packed), 3000):
            connection.data(request.stream, packed[start : start + 3000], end=start + 3000 >= len(packed))
        connection.idle()

    result = client.fetch(serve(script).url())
    assert result.reason == "ENDED" and result.body == packed
    assert result.header(b"content-encoding") == [b"gzip"]
    offset = 0
    for chunk in result.of("body"):
        assert chunk.offset == offset and chunk.data
        offset += len(chunk.data)
    assert offset == len(packed)


@pytest.mark.parametrize("method, status", [("HEAD", 404), ("GET", 304)])
def test_35_body_where_there_is_none(client, serve, method, status):
    """The length of what was not to be sent is not what is wrong with it."""

    def script(connection):
        request = connection.request()
        connection.headers(request.stream, status, [("content-length", "5")])
        connection.raw(b"\0\0\5\0\1" + request.stream.to_bytes(4, "big") + b"hello")
        connection.idle()

    result = client.fetch(serve(script).url(), method=method)
    assert result.reason == "PROTOCOL_ERROR" and result.codes == ["H2_STREAM_ERROR"], result
    assert f"answer to {method} with status {status}" in result.texts and result.body == b""


def test_31_status_that_is_none(client, serve):
    def script(connection):
        request = connection.request()
        # ":status: 051", which h2 would not send.
        connection.raw(b"\0\0\5\1\5" + request.stream.to_bytes(4, "big") + b"\x08\x03051")
        connection.idle()

    result = client.fetch(serve(script).url())
    assert result.reason == "PROTOCOL_ERROR" and "051 is no status" in result.texts and not result.head, result
