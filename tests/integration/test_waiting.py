# SPDX-License-Identifier: MIT
"""What a job waits for, and the deadlines of those waits that the client does not set: who holds up what is told at any
time, exactly one thing."""

import threading

from h2.settings import SettingCodes

import pytest

from support.h2_server import answer_all, simple
from support.process import until
from support.protocol import pb


def reason(job):
    return pb.Wait.Reason.Name(job.wait.reason) if job.HasField("wait") else None


def waits_for(client, what, index=0):
    """Until the job at that place in the list waits for that; returns its entry."""

    def look():
        jobs = client.list().jobs
        return jobs[index] if len(jobs) > index and reason(jobs[index]) == what else None

    return until(look, f"a job that waits for {what}")


def cancel(client, *numbers):
    for number in numbers:
        client.cancel(number)
    results = client.finish(*numbers)
    for result in results if isinstance(results, list) else [results]:
        assert result.reason == "CANCELLED", result


def script_that(answer):
    """Answers the first request of the connection, so that its settings are known, and does `answer` with the second."""

    def script(connection):
        connection.respond(connection.request().stream)
        answer(connection, connection.request(whole=False))
        connection.idle()

    return script


def test_waiting_for_a_stream(start_daemon, serve):
    server = serve(script_that(lambda connection, request: None), settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    with daemon.client() as client:
        client.fetch(server.url())
        numbers = [client.submit(server.url()) for _ in range(2)]
        job = waits_for(client, "STREAM_LIMIT", 1)
        assert job.state == pb.QUEUED and job.waiting_for and job.wait.limit and job.wait.limit_value == 1
        assert reason(client.list().jobs[0]) == "RESPONSE"
        cancel(client, *numbers)


def test_waiting_for_the_response(client, serve):
    server = serve(script_that(lambda connection, request: None))
    client.fetch(server.url())
    number = client.submit(server.url(), first_byte_timeout_ms=600_000)
    job = waits_for(client, "RESPONSE")
    assert job.state == pb.SENT and job.waiting_for
    assert 0 < job.wait.left_ms <= 600_000 and job.wait.for_ms + job.wait.left_ms == 600_000
    cancel(client, number)


def test_waiting_for_credit(client, serve):
    server = serve(simple(body=b"x" * 5000))
    number = client.submit(server.url(), initial_credit=0)
    job = waits_for(client, "CLIENT_CREDIT")
    assert job.state == pb.DELIVERING and "5000" in job.waiting_for and job.wait.left_ms > 0
    client.credit(number, 5000)
    assert client.finish(number).reason == "ENDED"


def test_waiting_for_the_clients_socket(daemon, serve):
    server = serve(simple(body=b"x" * 8_000_000))
    with daemon.client() as watcher, daemon.client(receive_buffer=4096) as client:
        number = client.submit(server.url(), initial_credit=64 << 20)
        job = waits_for(watcher, "CLIENT_SOCKET")
        assert job.waiting_for and job.received > job.delivered
        assert client.finish(number).reason == "ENDED"


def test_waiting_for_more_of_the_body(client, serve):
    def answer(connection, request):
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"some")

    server = serve(script_that(answer))
    client.fetch(server.url())
    number = client.submit(server.url(), stall_timeout_ms=600_000)
    client.wait_received(number, 4)
    job = waits_for(client, "BODY")
    assert job.state == pb.RECEIVING and job.wait.for_ms >= 1000 and job.wait.left_ms > 0
    cancel(client, number)


def test_waiting_for_the_next_try(client, serve):
    server = serve(simple(503, [("retry-after", "50")]))
    number = client.submit(server.url(), retry_allowed=True)
    job = waits_for(client, "RETRY_TIMER")
    assert job.state == pb.BACKOFF and job.waiting_for
    assert 50_000 <= job.wait.for_ms + job.wait.left_ms <= 60_000
    cancel(client, number)


def test_waiting_for_the_peers_window(client, serve):
    server = serve(
        script_that(lambda connection, request: None),
        settings={SettingCodes.INITIAL_WINDOW_SIZE: 1000},
        acknowledge=False,
    )
    client.fetch(server.url())
    number = client.submit(server.url(), method="POST", body=b"x" * 5000, stall_timeout_ms=600_000)
    job = waits_for(client, "PEER_WINDOW")
    assert job.state == pb.SENT and job.wait.left_ms > 0
    cancel(client, number)


# ---- deadlines of the request and of a slow response


def test_41_upload_that_is_not_taken(client, serve):
    """The origin's window stays shut. That is not its answer being late."""
    server = serve(
        script_that(lambda connection, request: None),
        settings={SettingCodes.INITIAL_WINDOW_SIZE: 1000},
        acknowledge=False,
    )
    client.fetch(server.url())
    result = client.fetch(server.url(), method="POST", body=b"x" * 5000, stall_timeout_ms=200)
    assert result.reason == "TIMEOUT" and result.codes == ["TIMEOUT_UPLOAD"], result
    assert "window" in result.texts and "200 ms" in result.texts


def test_41_total_is_over_when_everything_is_there(start_daemon, serve):
    """A client that takes its time with a response that came in time is late itself."""
    server = serve(simple(body=b"x" * 5000))
    with start_daemon({"job.client_timeout": "600ms"}).client() as client:
        result = client.fetch(server.url(), initial_credit=0, total_timeout_ms=300)
        assert result.reason == "TIMEOUT" and result.codes == ["TIMEOUT_CLIENT"], result


def test_23_slow_drip(start_daemon, serve):
    """A byte now and then is progress, and yet no way to keep a job for ever."""
    stop = threading.Event()

    def answer(connection, request):
        connection.headers(request.stream, 200)
        connection.socket.settimeout(0.02)
        while not stop.is_set() and request.stream not in connection.resets:
            connection.data(request.stream, b"x")
            try:
                connection.pump()
            except TimeoutError:
                pass

    server = serve(script_that(answer))
    with start_daemon({"job.min_rate": "10K", "job.min_rate_time": "500ms"}).client() as client:
        client.fetch(server.url())
        result = client.fetch(server.url(), stall_timeout_ms=60_000)
        stop.set()
        assert result.reason == "TIMEOUT" and result.codes == ["TOO_SLOW"], result
        assert result.body and set(result.body) == {ord("x")} and "job.min_rate" in result.texts


def test_23_slow_client_is_no_slow_drip(start_daemon, serve):
    def answer(connection, request):
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"x" * 1000)

    server = serve(script_that(answer))
    settings = {"job.min_rate": "1M", "job.min_rate_time": "500ms", "job.client_timeout": "1500ms"}
    with start_daemon(settings).client() as client:
        client.fetch(server.url())
        result = client.finish(client.submit(server.url(), initial_credit=0), refill=False)
        assert result.reason == "TIMEOUT" and result.codes == ["TIMEOUT_CLIENT"], result


@pytest.mark.parametrize(
    "status, verb, again",
    [(502, "GET", True), (408, "PUT", True), (502, "POST", False), (503, "GET", False), (500, "GET", False)],
)
def test_45_configured_statuses(start_daemon, serve, status, verb, again):
    """Those in the list, and only what may be done twice."""
    seen = []

    def respond(connection, request):
        seen.append(request)
        connection.respond(request.stream, status if len(seen) == 1 else 200, [("retry-after", "0")])

    server = serve(answer_all(respond))
    with start_daemon({"job.retry_statuses": "408 502", "job.backoff": "10ms"}).client() as client:
        result = client.fetch(server.url(), method=verb, retry_allowed=True)
        assert result.reason == "ENDED" and result.head.status == (200 if again else status), result
        assert len(seen) == (2 if again else 1)
