# SPDX-License-Identifier: MIT
"""Clients of different users: whose turn it is, and what one of them may hold of what all share. Order is all that
counts here, as the origin sees it."""

import contextlib
import os
import signal
import threading

import pytest

from h2.settings import SettingCodes

from support.daemon import write_config
from support.h2_server import answer_all
from support.process import until
from support.protocol import Client, pb

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")

FIRST, SECOND = 61_001, 61_002
FLOOD = 10_000


@contextlib.contextmanager
def client_of(daemon, uid):
    """A client of that user, which is who calls connect(): so only that is done as somebody else, and by the name alone,
    because the folders above are root's."""
    os.chmod(daemon.folder, 0o755)
    os.chmod(daemon.path, 0o666)
    before = os.getcwd()
    os.chdir(daemon.folder)
    try:
        os.seteuid(uid)
        try:
            client = Client(daemon.path.name)
        finally:
            os.seteuid(0)
    finally:
        os.chdir(before)
    with client:
        yield client


class Answers:
    """A script that holds every request until it is let go of: the oldest first."""

    def __init__(self):
        self.lock = threading.Lock()
        self.permits = 0

    def let_go(self, count=1):
        with self.lock:
            self.permits += count

    def __call__(self, connection):
        connection.socket.settimeout(0.02)
        while True:
            with contextlib.suppress(TimeoutError):
                connection.pump()
            for request in list(connection.requests.values()):
                if request.ended and request.stream not in connection.answered:
                    if request.get(b":path") != [b"/known"]:
                        with self.lock:
                            if self.permits == 0:
                                break
                            self.permits -= 1
                    connection.answered.add(request.stream)
                    connection.respond(request.stream)


def paths(server, count):
    return [request.get(b":path")[0].decode() for request in server.wait_requests(count)]


def quota(client, what):
    """The entry of a job that waits for its user's share."""

    def look():
        for job in client.list().jobs:
            if job.wait.reason == pb.Wait.USER_QUOTA and job.wait.limit == what:
                return job
        return None

    return until(look, f"a job that waits for {what}")


def test_09_a_flood_of_one_user_keeps_no_other_waiting(start_daemon, serve):
    answers = Answers()
    server = serve(answers, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 2})
    daemon = start_daemon({"pool.max_connections_per_origin": "1", "job.first_byte_timeout": "10min"})
    with client_of(daemon, FIRST) as flood, client_of(daemon, SECOND) as single, daemon.client() as root:
        flood.fetch(server.url("/known"))
        for _ in range(FLOOD):
            flood.submit(server.url("/flood"), priority=pb.URGENT)
        flood.ping()
        assert paths(server, 3) == ["/known", "/flood", "/flood"]
        number = single.submit(server.url("/single"), priority=pb.LOW)
        single.ping()
        jobs = root.stats().jobs
        assert (jobs.queued, jobs.sent) == (FLOOD - 1, 2), jobs
        assert {job.uid for job in root.list(limit=10).jobs} == {FIRST}
        assert [job.uid for job in single.list().jobs] == [SECOND], "others' jobs are not shown"
        answers.let_go()
        assert paths(server, 4)[3] == "/single"
        answers.let_go(2)
        assert single.finish(number).reason == "ENDED"
        assert paths(server, 6)[4:] == ["/flood", "/flood"]
        # A second one has its turn again.
        number = single.submit(server.url("/second"))
        single.ping()
        answers.let_go(2)
        assert "/second" in paths(server, 8)[6:]
        answers.let_go(3)
        assert single.finish(number).reason == "ENDED"


def test_09_a_user_at_its_share_of_streams(start_daemon, serve):
    answers = Answers()
    server = serve(answers)
    daemon = start_daemon({"pool.max_streams_per_uid": "2", "job.first_byte_timeout": "10min"})
    with client_of(daemon, FIRST) as first, client_of(daemon, SECOND) as second:
        numbers = [first.submit(server.url(f"/first/{index}")) for index in range(4)]
        assert paths(server, 2) == ["/first/0", "/first/1"]
        job = quota(first, "pool.max_streams_per_uid")
        assert job.wait.limit_value == 2 and job.uid == FIRST and "2 streams" in job.waiting_for
        other = second.submit(server.url("/second"))
        assert paths(server, 3)[2] == "/second", "it goes past them"
        answers.let_go()
        assert first.finish(numbers[0]).reason == "ENDED"
        assert paths(server, 4)[3] == "/first/2"
        answers.let_go(4)
        assert second.finish(other).reason == "ENDED"
        assert [result.reason for result in first.finish(*numbers[1:])] == ["ENDED"] * 3


def test_09_a_user_at_its_share_of_memory(start_daemon, serve):
    body = b"x" * 100_000
    server = serve(answer_all(lambda connection, request: connection.respond(request.stream, body=body)))
    daemon = start_daemon(
        {"http.stream_window": "512K", "http.max_stream_window": "512K", "memory.body_budget_per_uid": "1M"}
    )
    with client_of(daemon, FIRST) as first, client_of(daemon, SECOND) as second:
        # They begin and end, but nobody takes the bodies: what they hold may be less than their windows then.
        numbers = [first.submit(server.url(), initial_credit=0) for _ in range(20)]
        job = quota(first, "memory.body_budget_per_uid")
        assert job.wait.limit_value == 1 << 20
        result = second.fetch(server.url())
        assert result.reason == "ENDED" and result.body == body
        for number in numbers:
            first.credit(number, len(body))
        assert {result.reason for result in first.finish(*numbers, refill=False)} == {"ENDED"}


def test_09_shares_can_be_switched_off_by_a_reload(start_daemon, serve):
    answers = Answers()
    server = serve(answers)
    daemon = start_daemon({"pool.max_streams_per_uid": "1", "job.first_byte_timeout": "10min"})
    with client_of(daemon, FIRST) as first:
        numbers = [first.submit(server.url()) for _ in range(3)]
        quota(first, "pool.max_streams_per_uid")
        write_config(daemon.config, {**daemon.settings, "pool.max_streams_per_uid": "0"})
        daemon.signal(signal.SIGHUP)
        assert len(paths(server, 3)) == 3
        answers.let_go(3)
        assert {result.reason for result in first.finish(*numbers)} == {"ENDED"}
