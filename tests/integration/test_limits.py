# SPDX-License-Identifier: MIT
"""Sizes, deadlines, cancel and stop: every way in which a job ends because somebody said so."""

import threading

import pytest

from support.h2_server import answer_all, simple


def body_of(size, announce):
    def respond(connection, request):
        connection.headers(request.stream, 200, [("content-length", str(size))] if announce else [])
        connection.data(request.stream, b"x" * size, end=True)

    return answer_all(respond)




def test_33_max_size_announced(client, origin):
    result = client.fetch(origin.url("/mid"), max_size=(1 << 20) - 1)
    assert result.reason == "MAXSIZE_EXCEEDED" and result.codes[0] == "SIZE_ANNOUNCED", result
    assert result.body == b"" and str(1 << 20) in result.texts and str((1 << 20) - 1) in result.texts
    assert client.fetch(origin.url("/mid"), max_size=1 << 20).reason == "ENDED", "strictly more"
    assert client.fetch(origin.url("/mid"), max_size=0).reason == "ENDED", "0 is off"


def test_33_max_size_received(client, serve):
    server = serve(body_of(100_000, announce=False))
    result = client.fetch(server.url(), max_size=50_000)
    assert result.reason == "MAXSIZE_EXCEEDED_ACTUAL" and result.codes[0] == "SIZE_RECEIVED", result
    assert result.body == b"x" * 50_000 and "50000" in result.texts
    assert client.fetch(server.url(), max_size=100_000).reason == "ENDED", "strictly more"
    assert server.accepted == 1


def test_33_max_size_of_the_configuration(start_daemon, serve):
    daemon = start_daemon({"job.max_size": "10K"})
    server = serve(body_of(20_000, announce=True))
    with daemon.client() as client:
        assert client.fetch(server.url()).reason == "MAXSIZE_EXCEEDED"
        assert client.fetch(server.url(), max_size=30_000).reason == "ENDED"
        assert client.fetch(server.url(), max_size=0).reason == "ENDED"


def test_33_the_head_comes_before_the_verdict(client, origin):
    result = client.fetch(origin.url("/mid"), max_size=10)
    assert result.head.status == 200 and result.head.content_length == 1 << 20


@pytest.mark.parametrize("announce, code, word", [(True, 1, "expected"), (False, 2, "received")])
def test_34_warn_size_exactly_once(client, serve, announce, code, word):
    result = client.fetch(serve(body_of(300_000, announce)).url(), warn_size=1000)
    assert result.reason == "ENDED" and len(result.body) == 300_000, result
    (warning,) = result.of("warning")
    assert warning.code == code, word
    assert "1000" in warning.text


def test_34_no_warning_at_the_size_itself_or_when_off(client, serve):
    server = serve(body_of(1000, True))
    assert not client.fetch(server.url(), warn_size=1000).of("warning")
    assert not client.fetch(server.url(), warn_size=0).of("warning")


def test_39_cancel_mid_body(client, serve):
    reset = []

    def script(connection):
        first = connection.request()
        connection.headers(first.stream, 200)
        connection.data(first.stream, b"four")
        reset.append(connection.wait_reset(first.stream))
        connection.respond(connection.request().stream)
        connection.idle()

    server = serve(script)
    number = client.submit(server.url())
    client.wait_received(number, 4)
    client.cancel(number)
    client.cancel(number)
    result = client.finish(number)
    assert result.reason == "CANCELLED" and result.codes[0] == "CANCELLED_BY_CLIENT", result
    client.cancel(number)
    assert client.fetch(server.url()).reason == "ENDED"
    assert reset == [8], "RST_STREAM(CANCEL)"
    assert server.accepted == 1


def test_03_cancel_before_the_head_gives_no_fake_status(client, serve):
    server = serve(lambda connection: connection.idle())
    number = client.submit(server.url())
    server.wait_requests(1)
    client.cancel(number)
    result = client.finish(number)
    assert result.reason == "CANCELLED" and result.head is None and result.body == b"", result


def test_38_cancel_while_queued_sends_nothing(start_daemon, serve):
    from h2.settings import SettingCodes  # pylint: disable=import-outside-toplevel

    gate = threading.Event()

    def script(connection):
        connection.respond(connection.request().stream)
        first = connection.request()
        connection.wait(gate)
        connection.respond(first.stream)
        answer_all(lambda connection, request: connection.respond(request.stream))(connection)

    server = serve(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        client.fetch(server.url("/settings-are-known"))
        first = client.submit(server.url("/0"))
        server.wait_requests(2)
        queued = [client.submit(server.url(f"/{index}")) for index in range(1, 6)]
        client.ping()
        for number in queued[::2]:
            client.cancel(number)
        assert {client.finish(number).reason for number in queued[::2]} == {"CANCELLED"}
        gate.set()
        results = client.finish(first, *queued[1::2])
        assert {result.reason for result in results} == {"ENDED"}
    paths = [request.get(b":path")[0].decode() for request in server.requests]
    assert paths[1:] == ["/0", "/2", "/4"]


def test_40_stop_mid_body_keeps_what_arrived(client, serve):
    reset = []

    def script(connection):
        first = connection.request()
        connection.headers(first.stream, 200, [("content-length", "1000000")])
        connection.data(first.stream, b"enough")
        reset.append(connection.wait_reset(first.stream))
        connection.idle()

    number = client.submit(serve(script).url())
    client.wait_received(number, 6)
    client.stop(number)
    result = client.finish(number)
    assert result.reason == "STOP_DOWNLOAD" and result.body == b"enough" and not result.closed.failures, result
    assert result.closed.bytes.delivered == 6


def test_40_stop_at_the_head(client, origin):
    number = client.submit(origin.url("/large"), initial_credit=0)
    assert client.wait(number, "head").status == 200
    client.stop(number)
    result = client.finish(number)
    assert result.reason == "STOP_DOWNLOAD" and result.body == b"", result


def test_40_stop_before_it_is_sent(client, serve):
    number = client.submit(serve(lambda connection: connection.idle()).url())
    client.stop(number)
    assert client.finish(number).reason == "STOP_DOWNLOAD"


@pytest.mark.parametrize(
    "field, code, reason",
    [
        ("first_byte_timeout_ms", "TIMEOUT_FIRST_BYTE", "TIMEOUT"),
        ("total_timeout_ms", "TIMEOUT_TOTAL", "TIMEOUT"),
    ],
)
def test_41_no_response(client, serve, field, code, reason):
    server = serve(lambda connection: connection.idle())
    result = client.fetch(server.url(), **{field: 200})
    assert result.reason == reason and result.codes[0] == code, result
    assert result.head is None
    assert "200" in result.texts or "0.2" in result.texts, "names the limit"


def test_41_stall(client, serve):
    """The neighbour on the same connection goes on; that does not count."""
    done = threading.Event()

    def script(connection):
        stalled, lively = connection.request(), connection.request()
        connection.headers(stalled.stream, 200)
        connection.data(stalled.stream, b"part")
        connection.headers(lively.stream, 200)
        connection.socket.settimeout(0.02)
        while not done.is_set():
            connection.data(lively.stream, b".")
            try:
                connection.pump()
            except TimeoutError:
                continue
        connection.data(lively.stream, b"", end=True)
        connection.socket.settimeout(60)
        connection.idle()

    server = serve(script)
    stalled = client.submit(server.url("/stalled"), stall_timeout_ms=300)
    lively = client.submit(server.url("/lively"))
    result = client.finish(stalled)
    assert result.reason == "TIMEOUT" and result.codes[0] == "TIMEOUT_STALL" and result.body == b"part", result
    done.set()
    assert client.finish(lively).reason == "ENDED"
    assert server.accepted == 1


def test_41_total_mid_body(client, serve):
    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"part")
        connection.idle()

    result = client.fetch(serve(script).url(), total_timeout_ms=300)
    assert result.reason == "TIMEOUT" and result.codes[0] == "TIMEOUT_TOTAL", result
    assert result.body == b"part"


def test_41_queue(start_daemon, serve):
    from h2.settings import SettingCodes  # pylint: disable=import-outside-toplevel

    def script(connection):
        connection.respond(connection.request().stream)
        connection.idle()

    server = serve(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        client.fetch(server.url("/settings-are-known"))
        first = client.submit(server.url())
        server.wait_requests(2)
        result = client.fetch(server.url(), queue_timeout_ms=200)
        assert result.reason == "TIMEOUT" and result.codes[0] == "TIMEOUT_QUEUE", result
        client.cancel(first)
        assert client.finish(first).reason == "CANCELLED"
    assert len(server.requests) == 2


def test_41_client_that_gives_no_credit(start_daemon, origin):
    """Does not count as a stall, but has a limit of its own."""
    daemon = start_daemon({"job.client_timeout": "1s", "job.stall_timeout": "200ms"})
    with daemon.client() as client:
        number = client.submit(origin.url("/mid"), initial_credit=1000)
        result = client.finish(number, refill=False)
        assert result.reason == "TIMEOUT" and result.codes[0] == "TIMEOUT_CLIENT", result
        assert len(result.body) == 1000


def test_deadlines_of_the_configuration(start_daemon, serve):
    server = serve(lambda connection: connection.idle())
    daemon = start_daemon({"job.first_byte_timeout": "200ms"})
    with daemon.client() as client:
        assert client.fetch(server.url()).codes[0] == "TIMEOUT_FIRST_BYTE"
        number = client.submit(server.url(), first_byte_timeout_ms=0, total_timeout_ms=600)
        assert client.finish(number).codes[0] == "TIMEOUT_TOTAL", "0 turns the configured one off"


@pytest.mark.parametrize("fields", [{"progress_interval_ms": 1}, {"stall_timeout_ms": 1 << 63}])
def test_number_out_of_range(client, serve, fields):
    server = serve(simple())
    result = client.fetch(server.url(), **fields)
    assert result.reason == "DENIED" and result.codes[0] == "LIMIT_INVALID", result
    assert not server.requests


def test_progress(client, serve):
    gate = threading.Event()

    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200, [("content-length", "8")])
        connection.data(request.stream, b"four")
        connection.wait(gate)
        connection.data(request.stream, b"more", end=True)
        connection.idle()

    number = client.submit(serve(script).url(), progress_interval_ms=50)
    client.wait(number, "progress")
    while not any(progress.received == 4 and progress.state == 3 for progress in client.saw(number, "progress")):
        client.read()
    gate.set()
    result = client.finish(number)
    assert result.reason == "ENDED"
    received = [progress.received for progress in result.of("progress")]
    assert received == sorted(received)
    assert any(progress.content_length == 8 for progress in result.of("progress"))


def test_no_progress_unless_asked(client, origin):
    assert "progress" not in client.fetch(origin.url("/large")).kinds
