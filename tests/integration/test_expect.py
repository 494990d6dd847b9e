# SPDX-License-Identifier: MIT
"""Expect: 100-continue: a body that asks before it comes."""

import threading

import pytest
from h2.events import PingAckReceived

from support.h2_server import answer_all
from support.protocol import pb

EXPECT = [("expect", "100-continue")]
BODY = b"x" * 40_000


def upload(client, server, headers=EXPECT, **fields):
    return client.submit(server.url(), headers, method="POST", body=BODY, **fields)


def test_30_the_body_waits_for_the_100(start_daemon, serve):
    """However long that takes, as long as the server is given the time: the job says what it waits for."""
    sizes = []

    def script(connection):
        request = connection.request(whole=False)
        # The answer to a PING comes after everything that the client had to say.
        connection.h2.ping(b"12345678")
        connection.flush()
        connection.wait_event(PingAckReceived)
        sizes.append(len(request.body))
        asked.set()
        connection.wait(go_on)
        connection.frame(1, 4, request.stream, b"\x08\x03100")
        while not request.ended:
            connection.pump()
        sizes.append(len(request.body))
        connection.respond(request.stream, 201)
        connection.idle()

    asked, go_on = threading.Event(), threading.Event()
    daemon = start_daemon({"http.continue_timeout": "60s"})
    with daemon.client() as client:
        number = upload(client, serve(script))
        assert asked.wait(60)
        job = client.list().jobs[0]
        assert job.wait.reason == pb.Wait.CONTINUE and job.wait.left_ms > 0, job
        go_on.set()
        result = client.finish(number)
        assert result.reason == "ENDED" and result.head.status == 201, result
        assert [head.status for head in client.saw(number, "informational")] == [100]
    assert sizes == [0, len(BODY)]


def test_30_nobody_says_100(start_daemon, serve):
    """Most servers do not: the body goes all the same, after a while."""
    server = serve(answer_all(lambda connection, request: connection.respond(request.stream)))
    daemon = start_daemon({"http.continue_timeout": "50ms"})
    with daemon.client() as client:
        result = client.finish(upload(client, server))
        assert result.reason == "ENDED" and result.head.status == 200, result
    assert [len(request.body) for request in server.requests] == [len(BODY)]


@pytest.mark.parametrize("body", [b"", b"not for you"])
def test_30_the_answer_came_instead(start_daemon, serve, body):
    """The body is not sent, the answer is delivered, the connection lives."""
    seen = []

    def script(connection):
        request = connection.request(whole=False)
        connection.respond(request.stream, 417, body=body)
        seen.append((connection.wait_reset(request.stream), len(request.body)))
        connection.respond(connection.request().stream)
        connection.idle()

    server = serve(script)
    daemon = start_daemon({"http.continue_timeout": "60s"})
    with daemon.client() as client:
        result = client.finish(upload(client, server))
        assert result.reason == "ENDED" and result.head.status == 417 and result.body == body, result
        assert client.fetch(server.url()).reason == "ENDED"
    assert seen == [(0, 0)] and server.accepted == 1


@pytest.mark.parametrize(
    "headers, fields",
    [
        (EXPECT, {}),
        (EXPECT, {"method": "POST", "body": b""}),
        ([("expect", "200-ok")], {"method": "POST", "body": b"x"}),
        ([("expect", "")], {"method": "POST", "body": b"x"}),
    ],
)
def test_30_what_cannot_be_expected_is_refused(client, headers, fields):
    result = client.fetch("https://localhost:1/", headers, **fields)
    assert result.reason == "DENIED" and result.codes == ["HEADER_INVALID"] and "expect" in result.texts, result
