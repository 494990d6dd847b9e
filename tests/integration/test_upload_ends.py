# SPDX-License-Identifier: MIT
"""Uploads in pieces that meet a redirection, an early answer, or a peer or a client that drips."""

import socket
import struct
import threading

import h2.settings
import pytest

from support.h2_server import ErrorCodes, answer_all
from support.process import until
from support.protocol import pb
from test_upload import Feeder, begin, upload

GONE = struct.pack("ii", 1, 0)


def path_of(request):
    return request.get(b":path")[0].decode()


def waits(client):
    return [pb.Wait.Reason.Name(job.wait.reason) for job in client.list().jobs]


def test_redirected_into_a_get_and_on(client, serve):
    """After a 302 the body is no matter any more: neither for the next redirection ..."""

    def respond(connection, request):
        target = {"/": "/a", "/a": "/b"}.get(path_of(request))
        if target:
            connection.respond(request.stream, 302, [("location", target)], b"x")
        else:
            connection.respond(request.stream, 200, body=b"done\n")

    result = upload(client, serve(answer_all(respond)).url(), b"the body", method="POST", max_redirects=5)
    assert result.reason == "ENDED" and result.body == b"done\n", result


@pytest.mark.parametrize("first", ["refused", "503"])
def test_redirected_into_a_get_and_tried_again(client, serve, first):
    """... nor for another try."""
    seen = []

    def respond(connection, request):
        if path_of(request) == "/":
            connection.respond(request.stream, 303, [("location", "/a")], b"x")
            return
        seen.append(request)
        if len(seen) == 1 and first == "refused":
            connection.reset(request.stream, ErrorCodes.REFUSED_STREAM)
        else:
            connection.respond(request.stream, 503 if len(seen) == 1 else 200, body=b"done\n")

    server = serve(answer_all(respond))
    result = upload(client, server.url(), b"the body", method="POST", max_redirects=5, retry_allowed=True)
    assert result.reason == "ENDED" and result.head.status == 200, result


def test_late_piece_behind_a_redirection(start_daemon, serve):
    """The connection is blocked for writing, so the GET waits in it; then a piece of the POST comes."""
    go, done = threading.Event(), threading.Event()

    def script(connection):
        while len(connection.requests) < 2:
            connection.pump()
        connection.h2.increment_flow_control_window((1 << 31) - 1 - 65535)
        for number in connection.requests:
            connection.h2.increment_flow_control_window((1 << 31) - 1 - 65535, number)
        connection.flush()
        connection.wait(go)
        connection.headers(sorted(connection.requests)[1], 303, [("location", "/c")], end=True)
        connection.wait(done)
        connection.abort()

    server = serve(script)
    with start_daemon({"ipc.upload_buffer": "16M"}).client() as client:
        first = begin(client, server.url("/a"), method="POST")
        client.wait(first, "upload_credit")
        second = begin(client, server.url("/b"), method="POST", max_redirects=3)
        client.wait(second, "upload_credit")
        Feeder(client, first, bytes(16 << 20)).push()
        until(lambda: "PEER_SOCKET" in waits(client), "the connection to be blocked")
        go.set()
        until(lambda: any(job.attempts == 2 for job in client.list().jobs), "the redirection")
        client.upload(second, b"late")
        client.ping()
        for number in (first, second):
            client.cancel(number)
        assert [result.reason for result in client.finish(first, second)] == ["CANCELLED", "CANCELLED"]
        done.set()


def test_28_early_answer_of_a_peer_that_hangs_up(client, serve):
    """Its answer is there before its reset is met in writing."""

    def script(connection):
        request = connection.request(whole=False)
        connection.headers(request.stream, 413, [("content-length", "3")])
        connection.data(request.stream, b"no\n", end=True)
        connection.wait_event(h2.events.DataReceived)
        connection.socket.shutdown(socket.SHUT_RD)
        connection.idle()

    number = begin(client, serve(script).url(), method="POST")
    Feeder(client, number, bytes(3 << 20)).run()
    result = client.finish(number)
    assert result.reason == "ENDED" and result.head.status == 413 and result.body == b"no\n", result


def test_41_queue_deadline_counts_again_for_another_try(start_daemon, serve):
    """Refused once, and from then on the origin takes no streams at all."""

    def script(connection):
        if connection.number == 1:
            request = connection.request()
            connection.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 0})
            connection.flush()
            connection.reset(request.stream, ErrorCodes.REFUSED_STREAM)
        connection.idle()

    daemon = start_daemon({"job.queue_timeout": "300ms", "pool.max_connections_per_origin": 1})
    with daemon.client() as client:
        result = client.fetch(serve(script).url())
    assert result.reason == "TIMEOUT" and result.codes == ["TIMEOUT_QUEUE"], result


@pytest.mark.parametrize("expect", [False, True])
def test_41_client_that_sends_nothing(start_daemon, serve, expect):
    """Whatever other deadlines are off."""
    daemon = start_daemon({"job.client_timeout": "300ms", "http.continue_timeout": "50ms"})
    with daemon.client() as client:
        headers = [("expect", "100-continue")] if expect else []
        server = serve(lambda connection: connection.idle())
        number = begin(client, server.url(), headers=headers, stall_timeout_ms=0, first_byte_timeout_ms=0)
        result = client.finish(number)
    assert result.reason == "TIMEOUT" and result.codes == ["TIMEOUT_CLIENT"], result


def test_41_client_that_stops_after_a_shut_window(start_daemon, serve):
    opened = threading.Event()

    def script(connection):
        request = connection.request(whole=False)
        connection.wait(opened)
        connection.h2.increment_flow_control_window(1 << 20)
        connection.h2.increment_flow_control_window(1 << 20, request.stream)
        connection.flush()
        connection.idle()

    server = serve(script, acknowledge=False)
    with start_daemon({"job.client_timeout": "300ms"}).client() as client:
        number = begin(client, server.url(), stall_timeout_ms=0, first_byte_timeout_ms=0)
        client.wait(number, "upload_credit")
        Feeder(client, number, bytes(100000)).push(99000)
        until(lambda: "PEER_WINDOW" in waits(client), "the window to be shut")
        opened.set()
        result = client.finish(number)
    assert result.reason == "TIMEOUT" and result.codes == ["TIMEOUT_CLIENT"], result


def test_41_empty_pieces_are_no_progress(start_daemon, serve):
    server = serve(lambda connection: connection.idle())
    with start_daemon({"job.client_timeout": "500ms"}).client() as client:
        number = begin(client, server.url())
        client.wait(number, "upload_credit")

        def ended():
            client.upload(number, b"")
            client.ping()
            return client.saw(number, "closed")

        until(ended, "the job to end")
        assert client.finish(number).codes == ["TIMEOUT_CLIENT"]


def test_23_peer_that_takes_the_body_byte_by_byte(start_daemon, serve):
    stop = threading.Event()

    def script(connection):
        request = connection.request(whole=False)
        while not stop.wait(0.05):
            connection.frame(8, 0, request.stream, (1).to_bytes(4, "big"))
        connection.idle()

    server = serve(script, acknowledge=False, settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    daemon = start_daemon({"job.min_rate": "1000", "job.min_rate_time": "1s"})
    with daemon.client() as client:
        number = begin(client, server.url())
        client.wait(number, "upload_credit")
        client.upload(number, b"x" * 50000, True)
        result = client.finish(number)
        stop.set()
    assert result.reason == "TIMEOUT" and result.codes == ["TOO_SLOW"], result
    assert "request's body" in result.texts, result


def test_no_reset_behind_a_redirection_that_is_whole(client, serve):
    """Servers count resets; one for a stream that is over on both sides says nothing."""
    resets = []

    def respond(connection, request):
        resets.append(dict(connection.resets))
        if path_of(request) == "/":
            connection.headers(request.stream, 302, [("location", "/b")], end=True)
        else:
            connection.respond(request.stream, 200, body=b"x")

    result = client.fetch(serve(answer_all(respond)).url(), max_redirects=2)
    assert result.reason == "ENDED", result
    assert resets == [{}, {}]


def test_08_connections_that_take_no_more_are_not_without_number(start_daemon, serve):
    """A server that says good-bye after one stream, and then keeps them open, does not get the whole pool."""

    def script(connection):
        first = connection.request()
        if connection.number <= 2:
            while len(connection.requests) < 2:
                connection.pump()
            connection.send_goaway(0, first.stream)
            connection.respond(first.stream, 200, body=b"x")
            return
        connection.idle()

    server = serve(script)
    other = serve(answer_all(lambda connection, request: connection.respond(request.stream, 200, body=b"ok")))
    daemon = start_daemon({"pool.max_connections_per_origin": 1, "pool.max_connections": 8})
    with daemon.client() as client:
        for _ in range(20):
            client.submit(server.url())
        until(lambda: "STREAM_LIMIT" in waits(client), "the origin to have what it may have")
        assert client.fetch(other.url()).reason == "ENDED"
        stats = client.stats(connections=64)
        assert sum(entry.origin.endswith(f":{server.port}") for entry in stats.connections) <= 4
