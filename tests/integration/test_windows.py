# SPDX-License-Identifier: MIT
"""Windows that grow and shrink under one budget: who stops costs no more than the window that it had, and everybody who
waits for the budget gets there. Whether a window grew depends on the machine; what it may cost does not."""

import hashlib

import pytest

from support.process import until

FIRST = 256 << 10
MOST = 4 << 20
BUDGET = 8 << 20
SETTINGS = {
    "http.stream_window": "256K",
    "http.max_stream_window": "4M",
    "http.connection_window": "1M",
    "http.max_connection_window": "64M",
    "memory.body_budget": "8M",
}


@pytest.mark.bulk
def test_who_stops_costs_a_window(start_daemon, every_origin, documents):
    """After any number of bytes at full speed; and what it held is given back when it goes on, or goes."""
    daemon = start_daemon(SETTINGS)
    with daemon.client() as client:
        # Their sum is more than the budget would let all of them have.
        stopped = []
        for taken in (1, FIRST, 3 << 20, 8 << 20, 15 << 20):
            number = client.submit(every_origin.url("/large"), initial_credit=taken)
            client.wait_received(number, taken)
            stopped.append(number)
        for _ in range(3):
            result = client.fetch(every_origin.url("/large"))
            assert result.reason == "ENDED" and hashlib.sha256(result.body).hexdigest() == documents.sha256["large"]
            assert client.stats().buffered_bytes <= BUDGET
        assert client.stats().buffered_bytes <= MOST * len(stopped)
        gone = stopped.pop()
        client.cancel(gone)
        assert client.finish(gone, refill=False).reason == "CANCELLED"
        for number in stopped:
            client.credit(number, 1 << 20)
        for result in client.finish(*stopped):
            assert result.reason == "ENDED", result
            assert hashlib.sha256(result.body).hexdigest() == documents.sha256["large"]
        until(lambda: client.stats().buffered_bytes == 0, "nothing to be buffered")


@pytest.mark.bulk
def test_all_finish_at_the_budget(start_daemon, every_origin, documents):
    """Many more than the budget has windows for, some of them with large windows when the others come, some stopped."""
    daemon = start_daemon(SETTINGS)
    with daemon.client(name="early") as early, daemon.client(name="late") as late:
        long = [early.submit(every_origin.url("/large"), initial_credit=2 << 20) for _ in range(4)]
        for number in long:
            early.wait_received(number, 2 << 20)
        numbers = [late.submit(every_origin.url("/mid")) for _ in range(200)]
        assert late.stats().buffered_bytes <= BUDGET
        # Two of the four go on beside the crowd, the others when it has gone.
        for number in long[:2]:
            early.credit(number, 16 << 20)
        for result in late.finish(*numbers):
            assert result.reason == "ENDED" and len(result.body) == 1 << 20, result
        for number in long[2:]:
            early.credit(number, 16 << 20)
        for result in early.finish(*long, refill=False):
            assert result.reason == "ENDED", result
            assert hashlib.sha256(result.body).hexdigest() == documents.sha256["large"]
        until(lambda: late.stats().buffered_bytes == 0, "nothing to be buffered")


@pytest.mark.bulk
def test_padding_and_a_shrinking_window(start_daemon, serve):
    """Padding uses the window up and is nobody's to take. It is given back also when the window is to become smaller."""
    daemon = start_daemon(SETTINGS | {"memory.body_budget": "1M", "http.max_stream_window": "1M"})
    size = 600_000

    def script(connection):
        for _ in range(4):
            request = connection.request()
            connection.headers(request.stream, 200)
            for at in range(0, size, 100):
                connection.data(request.stream, b"x" * min(100, size - at), padding=250)
            connection.data(request.stream, b"", end=True)
        connection.idle()

    server = serve(script)
    with daemon.client() as client:
        for _ in range(4):
            result = client.fetch(server.url())
            assert result.reason == "ENDED" and len(result.body) == size, result
        until(lambda: client.stats().buffered_bytes == 0, "nothing to be buffered")
