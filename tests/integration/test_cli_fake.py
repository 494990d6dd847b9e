# SPDX-License-Identifier: MIT
"""fetchctl against a daemon that says what a test wants: how it shows what a daemon tells, and how it sends request
bodies in pieces."""

import hashlib
import os
import re
import signal
import socket

import pytest

from support import cli
from support.process import PATIENCE
from support.protocol import FakeDaemon, Gone, pb

USAGE, OUTPUT, DENIED, INTERRUPTED = 2, 5, 44, 130
URL = "https://www.example.org/thing"


def code(name):
    return pb.FailureCode.Value(name)


# -- uploads


class Receiver:
    """Takes an upload: grants `window` bytes at a time, and counts."""

    def __init__(self, fake, window):
        self.fake = fake
        self.window = window
        frame = fake.expect("submit")
        self.number = frame.id
        self.submit = frame.submit
        self.data = b""
        self.pieces = 0
        self.granted = 0
        self.ended = False
        fake.send(self.number, accepted=pb.Accepted(job=self.number))

    def grant(self, amount=None):
        amount = amount or self.window
        self.granted += amount
        self.fake.send(self.number, upload_credit=pb.UploadCredit(bytes=amount))

    def take(self, frame):
        assert frame.id == self.number and not self.ended, frame
        self.data += frame.upload_data.data
        self.pieces += 1
        self.ended = frame.upload_data.end
        assert len(self.data) <= self.granted, "more than was granted"

    def piece(self):
        self.take(self.fake.expect("upload_data"))

    def all(self):
        while not self.ended:
            if len(self.data) == self.granted:
                self.grant()
            self.piece()

    def answer(self, status=200):
        self.fake.send(self.number, head=pb.Head(status=status))
        self.fake.close_job(self.number)


@pytest.fixture(name="octets")
def _octets():
    return b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(40000))


def test_upload_of_a_file(tmp_path, octets):
    """Its length is announced, and no more is sent than was granted."""
    (tmp_path / "file").write_bytes(octets)
    seen = []

    def script(fake):
        receiver = Receiver(fake, 100000)
        seen.append(receiver)
        receiver.all()
        receiver.answer(201)

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "--fail", "-T", tmp_path / "file", URL)
        assert outcome.status == 0 and not outcome.err, outcome
    (receiver,) = seen
    assert receiver.data == octets and receiver.pieces > len(octets) // 65536
    assert receiver.submit.method == "PUT" and receiver.submit.upload.length == len(octets)
    assert receiver.submit.WhichOneof("opt_body") is None and not receiver.submit.headers


@pytest.mark.parametrize("option", ["-d", "-T"])
def test_upload_from_a_pipe(tmp_path, octets, option):
    seen = []

    def script(fake):
        receiver = Receiver(fake, 70000)
        seen.append(receiver)
        receiver.all()
        receiver.answer()

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", option, "@-" if option == "-d" else "-", URL, input=octets)
        assert outcome.status == 0 and not outcome.err, outcome
    (receiver,) = seen
    assert receiver.data == octets
    assert receiver.submit.WhichOneof("opt_upload") and not receiver.submit.upload.WhichOneof("opt_length")
    assert receiver.submit.method == ("POST" if option == "-d" else "PUT")
    assert [bytes(field.name) for field in receiver.submit.headers] == ([b"content-type"] if option == "-d" else [])


def test_pipe_is_sent_as_it_comes(tmp_path):
    """Also when nothing comes for a while, and the end is its end."""
    first = []

    def script(fake):
        receiver = Receiver(fake, 100000)
        receiver.grant()
        receiver.piece()
        first.append(receiver.data)
        os.write(writer, b" second")
        while receiver.data != b"first second":
            receiver.piece()
        os.close(writer)
        receiver.piece()
        assert receiver.ended and receiver.data == b"first second"
        receiver.answer()

    reader, writer = os.pipe()
    with FakeDaemon(tmp_path, script) as fake:
        running = cli.start(fake, "get", "-T", "-", URL, stdin=reader)
        os.close(reader)
        os.write(writer, b"first")
        out, err = running.communicate(timeout=PATIENCE)
        assert running.returncode == 0 and not out and not err, err
    assert first == [b"first"]


def test_nothing_is_read_without_credit(tmp_path):
    """What the daemon has no room for stays in the pipe."""

    def script(fake):
        receiver = Receiver(fake, 0)
        receiver.grant(3)
        receiver.piece()
        assert receiver.data == b"abc"
        receiver.grant(2)
        receiver.piece()
        assert receiver.data == b"abcde"
        assert os.read(reader, 100) == b"fgh"
        fake.close_job(receiver.number, "RESET")

    reader, writer = os.pipe()
    with FakeDaemon(tmp_path, script) as fake:
        os.write(writer, b"abcdefgh")
        running = cli.start(fake, "get", "-T", "-", URL, stdin=reader)
        running.communicate(timeout=PATIENCE)
        assert running.returncode == 32
    os.close(reader)
    os.close(writer)


def test_small_files_go_with_the_request(tmp_path):
    """Then it can be sent a second time."""
    (tmp_path / "file").write_bytes(b"x" * 60000)
    seen = []

    def script(fake):
        for _ in range(2):
            frame = fake.expect("submit")
            seen.append(frame.submit)
            fake.close_job(frame.id)

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-T", tmp_path / "file", URL, URL)
        assert outcome.status == 0, outcome
    assert [submit.body for submit in seen] == [b"x" * 60000] * 2
    assert not any(submit.WhichOneof("opt_upload") for submit in seen)


def test_body_that_does_not_fit_with_its_header(tmp_path):
    """It would fit a frame alone."""
    (tmp_path / "file").write_bytes(b"x" * 65500)
    seen = []

    def script(fake):
        receiver = Receiver(fake, 1000000)
        seen.append(receiver)
        receiver.all()
        receiver.answer()

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-d", f"@{tmp_path / 'file'}", URL)
        assert outcome.status == 0, outcome
    assert seen[0].data == b"x" * 65500 and seen[0].submit.upload.length == 65500


def test_one_file_to_several_urls(tmp_path, octets):
    """At the same time, each from the beginning; also as standard input."""
    (tmp_path / "file").write_bytes(octets)

    def script(fake):
        receivers = {}
        for _ in range(3):
            receiver = Receiver(fake, 300000)
            receivers[receiver.number] = receiver
        for receiver in receivers.values():
            receiver.grant()
        while not all(receiver.ended for receiver in receivers.values()):
            frame = fake.expect("upload_data")
            receiver = receivers[frame.id]
            receiver.take(frame)
            if len(receiver.data) == receiver.granted:
                receiver.grant()
        for receiver in receivers.values():
            assert receiver.data == octets
            receiver.answer()

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-T", tmp_path / "file", *[URL] * 3)
        assert outcome.status == 0, outcome
    with FakeDaemon(tmp_path, script) as fake, open(tmp_path / "file", "rb") as file:
        outcome = cli.run(fake, "get", "-T", "-", *[URL] * 3, stdin=file)
        assert outcome.status == 0, outcome


def test_answer_before_the_upload_is_whole(tmp_path, octets):
    """Nobody waits for the rest: neither of a file, nor of what never comes through a pipe."""
    (tmp_path / "file").write_bytes(octets)

    def script(fake):
        receiver = Receiver(fake, 1000)
        receiver.grant()
        receiver.piece()
        receiver.grant()
        receiver.answer(413)

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-i", "-T", tmp_path / "file", URL)
        assert outcome.status == 0 and outcome.out.startswith(b"HTTP/2 413"), outcome
    reader, writer = os.pipe()
    os.write(writer, b"some")
    with FakeDaemon(tmp_path, script) as fake:
        running = cli.start(fake, "get", "-i", "-T", "-", URL, stdin=reader)
        out, err = running.communicate(timeout=PATIENCE)
        assert running.returncode == 0 and out.startswith(b"HTTP/2 413"), err
    os.close(reader)
    os.close(writer)


def test_file_that_becomes_shorter(tmp_path, octets):
    path = tmp_path / "file"
    path.write_bytes(octets)

    def script(fake):
        receiver = Receiver(fake, 65536)
        receiver.grant()
        while len(receiver.data) < 65536:
            receiver.piece()
        os.truncate(path, 65536)
        receiver.grant()
        assert fake.read_until("cancel").id == receiver.number
        fake.close_job(receiver.number, "CANCELLED")

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-T", path, URL)
    assert outcome.status == OUTPUT and "became shorter" in outcome.err and outcome.err.count("\n") == 1, outcome


def test_file_that_becomes_longer(tmp_path, octets):
    """What was announced is sent."""
    path = tmp_path / "file"
    path.write_bytes(octets)

    def script(fake):
        receiver = Receiver(fake, 65536)
        with open(path, "ab") as file:
            file.write(b"more")
        receiver.all()
        assert receiver.data == octets
        receiver.answer()

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-T", path, URL)
        assert outcome.status == 0, outcome


def test_interrupted_upload(tmp_path):
    def script(fake):
        receiver = Receiver(fake, 65536)
        receiver.grant()
        receiver.piece()
        running[0].send_signal(signal.SIGINT)
        assert fake.read_until("cancel").id == receiver.number
        fake.close_job(receiver.number, "CANCELLED")

    reader, writer = os.pipe()
    running = []
    with FakeDaemon(tmp_path, script) as fake:
        running.append(cli.start(fake, "get", "-T", "-", URL, stdin=reader))
        os.write(writer, b"some")
        running[0].communicate(timeout=PATIENCE)
        assert running[0].returncode == INTERRUPTED
    os.close(reader)
    os.close(writer)


def test_upload_when_the_daemon_goes(tmp_path, octets):
    (tmp_path / "file").write_bytes(octets)

    def script(fake):
        receiver = Receiver(fake, 1000)
        receiver.grant()
        receiver.piece()

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-T", tmp_path / "file", URL)
    assert outcome.status == 4 and "DAEMON_LOST" in outcome.err, outcome


def test_file_that_cannot_be_read(tmp_path):
    class Nobody:
        path = tmp_path / "nobody.sock"

    for option, argument in (("-T", "missing"), ("-d", "@missing"), ("-T", "."), ("-d", "@.")):
        outcome = cli.run(Nobody, "get", option, argument, URL, cwd=tmp_path)
        assert outcome.status == OUTPUT and f"{option}: cannot read {argument.lstrip('@')}: " in outcome.err, outcome
    with socket.socket() as unconnected:
        outcome = cli.run(Nobody, "get", "-T", "-", URL, stdin=unconnected.fileno())
    assert outcome.status == 3, outcome  # found when it is read; the daemon is looked for before


# -- what it shows


def test_list_says_what_each_job_waits_for(tmp_path):
    jobs = [
        pb.JobInfo(
            job=7,
            state=pb.QUEUED,
            method="GET",
            url=URL,
            age_ms=4000,
            waiting_for="a stream",
            wait=pb.Wait(
                reason=pb.Wait.STREAM_LIMIT, for_ms=3200, limit="SETTINGS_MAX_CONCURRENT_STREAMS", limit_value=100
            ),
        ),
        pb.JobInfo(
            job=8,
            state=pb.BACKOFF,
            method="POST",
            url=URL + "?8",
            wait=pb.Wait(reason=pb.Wait.RETRY_TIMER, for_ms=500, left_ms=60000),
        ),
        pb.JobInfo(job=9, state=pb.RECEIVING, method="GET", url=URL, received=2048),
        # A reason that this program does not know.
        pb.JobInfo(job=10, state=pb.QUEUED, method="GET", url=URL, waiting_for="the moon", wait=pb.Wait(for_ms=5)),
        pb.JobInfo(
            job=11,
            state=pb.QUEUED,
            method="GET",
            url=URL,
            wait=pb.Wait(reason=pb.Wait.ORIGIN_BACKOFF, for_ms=0, left_ms=1500, limit="pool.backoff_max", limit_value=9),
        ),
    ]

    def script(fake):
        frame = fake.expect("list")
        fake.send(frame.id, list=pb.ListReply(jobs=jobs))

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "list")
    assert outcome.status == 0, outcome
    head, *lines = outcome.out.decode().splitlines()
    assert head.split() == ["JOB", "STATE", "BYTES", "AGE", "METHOD", "WAITING", "URL"]
    start, end = head.index("WAITING"), head.index("URL")
    assert [line[start:end].rstrip() for line in lines] == [
        "STREAM_LIMIT 3.2s (SETTINGS_MAX_CONCURRENT_STREAMS 100)",
        "RETRY_TIMER 0.5s, 1m00s left",
        "-",
        "the moon",
        "ORIGIN_BACKOFF 0.0s, 1.5s left (pool.backoff_max 9)",
    ]
    assert [line[end:] for line in lines] == [job.url for job in jobs]
    assert lines[2].split()[:5] == ["9", "RECEIVING", "2.0K", "0.0s", "GET"]

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "list", "--json")
    waits = [job["wait"] for job in outcome.json()]
    assert waits[0] == {
        "reason": "STREAM_LIMIT",
        "for_ms": 3200,
        "left_ms": None,
        "limit": "SETTINGS_MAX_CONCURRENT_STREAMS",
        "limit_value": 100,
    }
    assert waits[1]["left_ms"] == 60000 and waits[1]["limit"] is None
    assert waits[2] is None and waits[3] is None
    assert outcome.json()[3]["waiting_for"] == "the moon"


def test_connections_of_the_pool(tmp_path):
    first, second = "https://www.example.org:443", "https://cdn.example.net:443"
    stats = pb.StatsReply(
        pool=pb.PoolStats(connections=4, connecting=1),
        origins=[
            pb.OriginInfo(origin=first, connections=2, waiting=3),
            pb.OriginInfo(origin=second, backoff_ms=2500),
        ],
        connections=[
            pb.PoolConnection(
                origin=first,
                connection=17,
                state=pb.PoolConnection.OPEN,
                state_for_ms=3200,
                age_ms=3300,
                remote="192.0.2.1:443",
                streams=3,
                stream_limit=100,
                carried=250,
                send_window=65535,
                receive_window=1048576,
                silent_ms=100,
                ping_ago_ms=2100,
                ping_rtt_us=310,
                why="carries streams",
            ),
            pb.PoolConnection(
                origin=first,
                connection=18,
                state=pb.PoolConnection.DRAINING,
                remote="[2001:db8::1]:443",
                streams=1,
                stream_limit=100,
                ping_ago_ms=400,
                why="the server sent GOAWAY: NO_ERROR",
            ),
            pb.PoolConnection(
                origin=second, state=pb.PoolConnection.FAILED, left_ms=2500, why="cannot connect\x1b[2J to 192.0.2.9"
            ),
        ],
    )
    asked = []

    def script(fake):
        frame = fake.expect("stats")
        asked.append(frame.stats)
        fake.send(frame.id, stats=stats)

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "stats", "--pool")
    assert outcome.status == 0 and asked[0].connections == 256 and asked[0].origins == 256, outcome
    lines = outcome.out.decode().splitlines()
    assert lines[0].split() == [
        "CONN", "STATE", "FOR", "LEFT", "AGE", "STREAMS", "CARRIED", "SEND", "RECV", "SILENT", "PING", "REMOTE", "WHY",
    ]  # fmt: skip
    assert lines[1] == f"{first}, 3 waiting"
    assert lines[2].split(maxsplit=13) == [
        "17", "OPEN", "3.2s", "-", "3.3s", "3/100", "250", "63.9K", "1.0M", "0.1s", "2.1s", "0.31ms", "192.0.2.1:443",
        "carries streams",
    ]  # fmt: skip
    assert "0.4s open" in lines[3] and lines[3].endswith("  the server sent GOAWAY: NO_ERROR")
    assert lines[4] == f"{second}, a pause of 2.5s before the next connection"
    assert lines[5].split()[:5] == ["0", "FAILED", "0.0s", "2.5s", "0.0s"] and "\x1b" not in outcome.out.decode()
    assert lines[6] == "and 2 more" and len(lines) == 7
    # The columns stand below each other.
    assert len({line.index(word) for line, word in ((lines[0], "WHY"), (lines[2], "carries"), (lines[5], "cannot"))}) == 1

    with FakeDaemon(tmp_path, script) as fake:
        (shown,) = cli.run(fake, "stats", "--json", "--pool").json()
    connection = shown["connections"][0]
    assert connection["state"] == "OPEN" and connection["id"] == 17 and connection["left_ms"] is None
    assert connection["ping_rtt_us"] == 310 and connection["receive_window_bytes"] == 1048576
    assert shown["connections"][1]["ping_rtt_us"] is None and shown["connections"][2]["remote"] is None
    assert shown["origins"][1]["backoff_ms"] == 2500 and shown["origins"][0]["backoff_ms"] is None
    with FakeDaemon(tmp_path, script) as fake:
        (shown,) = cli.run(fake, "stats", "--json").json()
    assert "connections" not in shown and asked[-1].connections == 0


def test_pool_without_connections(tmp_path):
    def script(fake):
        fake.send(fake.expect("stats").id, stats=pb.StatsReply())

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "stats", "--pool")
    assert outcome.status == 0 and outcome.out == b"no connections\n", outcome


ATTEMPTS = [
    pb.Attempt(connection=1, remote="192.0.2.1:443", stream=1, outcome=pb.ENDED, status=301, why="redirected"),
    pb.Attempt(url="https://b.example/", outcome=pb.CONNECT_FAILED, code=code("CONNECT_REFUSED"), why="tried again"),
    pb.Attempt(
        url="https://b.example/", connection=2, remote="192.0.2.2:443", stream=3, outcome=pb.ENDED, status=200
    ),
]  # fmt: skip


def test_verbose_shows_each_hop(tmp_path):
    def script(fake):
        frame = fake.expect("submit")
        assert frame.submit.max_redirects == 4 and not frame.submit.redirect_to_cleartext
        fake.send(frame.id, accepted=pb.Accepted(job=1))
        fake.send(frame.id, head=pb.Head(status=200, url="https://b.example/"))
        fake.close_job(frame.id, attempts=ATTEMPTS, timings=pb.Timings(end_us=1500))

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-v", "-L", "--max-redirs", "4", URL)
    assert outcome.status == 0 and outcome.err.splitlines() == [
        f"fetchctl: {URL}: attempt 1 of 3: status 301, stream 1 on connection 1 to 192.0.2.1:443; redirected",
        f"fetchctl: {URL}: attempt 2 of 3: https://b.example/, CONNECT_FAILED (CONNECT_REFUSED), not sent; tried again",
        f"fetchctl: {URL}: attempt 3 of 3: https://b.example/, status 200, stream 3 on connection 2 to 192.0.2.2:443",
        f"fetchctl: {URL}: closed: ENDED, from https://b.example/, status 200, 0 bytes in 1.5 ms, "
        "stream 3 on connection 2 to 192.0.2.2:443, 3 attempts",
    ], outcome
    with FakeDaemon(tmp_path, script) as fake:
        lines = cli.run(fake, "get", "--json", "-L", "--max-redirs", "4", URL).json()
    by_kind = {line["event"]: line for line in lines}
    assert by_kind["head"]["final_url"] == "https://b.example/" and by_kind["head"]["url"] == URL
    assert [attempt["url"] for attempt in by_kind["closed"]["attempts"]] == [None] + ["https://b.example/"] * 2


@pytest.mark.parametrize(
    "name, words",
    [
        ("TOO_MANY_REDIRECTS", "--max-redirs"),
        ("REDIRECT_CLEARTEXT", "--redirect-to-cleartext"),
        ("SIZE_RECEIVED", "--max-size"),
        ("TIMEOUT_TOTAL", "--timeout"),
        ("TIMEOUT_STALL", "--stall-timeout"),
        ("CONNECT_REFUSED", "check the port"),
    ],
)
def test_failures_say_what_to_do_next(tmp_path, name, words):
    def script(fake):
        frame = fake.expect("submit")
        assert frame.submit.max_redirects == 10
        failures = [pb.Failure(code=code(name), text="it did not work")]
        fake.close_job(frame.id, "DENIED", failures=failures)

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", "-L", URL)
    first, second = outcome.err.splitlines()
    assert outcome.status == DENIED and first.endswith(": DENIED: it did not work") and words in second, outcome


def test_advice_is_about_the_cause(tmp_path):
    """Not about the deadline that it made pass."""

    def script(fake):
        chain = [pb.Failure(code=code(name), text="x") for name in ("TIMEOUT_CONNECT", "DNS_TIMEOUT", "TIMEOUT_TOTAL")]
        fake.close_job(fake.expect("submit").id, "CONNECT_FAILED", failures=chain)

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", URL)
    assert "name servers" in outcome.err.splitlines()[1] and outcome.err.count("\n") == 2, outcome


def test_daemon_that_does_not_know_a_request(tmp_path):
    def script(fake):
        fake.send(fake.read().id, unsupported=pb.Unsupported(field=9))

    for verb in ("list", "stats"):
        with FakeDaemon(tmp_path, script) as fake:
            outcome = cli.run(fake, verb)
        assert outcome.status == 1 and "the daemon is older than this fetchctl: restart it" in outcome.err, outcome


def test_daemon_that_goes_away(tmp_path):
    def script(fake):
        fake.read()

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "list")
    assert outcome.status == 4 and re.search("lost the daemon: .*journalctl", outcome.err), outcome


def test_credit_for_an_upload_that_nobody_makes(tmp_path):
    """That is no daemon of this protocol."""

    def script(fake):
        frame = fake.expect("submit")
        fake.send(frame.id, upload_credit=pb.UploadCredit(bytes=5))
        with pytest.raises(Gone):
            while True:
                fake.read()

    with FakeDaemon(tmp_path, script) as fake:
        outcome = cli.run(fake, "get", URL)
    assert outcome.status == 4 and "upload" in outcome.err, outcome


# -- outputs


@pytest.mark.parametrize("features", [["uploads"], ["fd-output", "uploads"]])
def test_an_output_file_is_written_by_who_can(tmp_path, features):
    """By the daemon, if it says that it can; and its progress is what it has written."""
    passes = "fd-output" in features

    def script(fake):
        frame = fake.expect("submit")
        assert frame.submit.HasField("output") == passes and frame.fd_count == len(fake.fds) == passes
        fake.send(frame.id, accepted=pb.Accepted(job=1))
        fake.send(frame.id, head=pb.Head(status=200, content_length=6))
        if passes:
            file = fake.fds.pop()
            os.write(file, b"body\r\n")
            os.close(file)
        else:
            fake.send(frame.id, body=pb.Body(data=b"body\r\n"))
        fake.close_job(frame.id, bytes=pb.ByteCounts(payload=6, delivered=6))

    with FakeDaemon(tmp_path, script, features) as fake:
        outcome = cli.run(fake, "get", "-v", "-o", tmp_path / "out", URL)
    assert outcome.status == 0, outcome
    assert (tmp_path / "out").read_bytes() == b"body\r\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("arguments", [["-i"], ["--json"]])
def test_what_is_more_than_a_body_is_written_by_fetchctl(tmp_path, arguments):
    def script(fake):
        frame = fake.expect("submit")
        assert not frame.submit.HasField("output") and not frame.fd_count and not fake.fds
        fake.send(frame.id, accepted=pb.Accepted(job=1))
        fake.send(frame.id, head=pb.Head(status=200))
        fake.send(frame.id, body=pb.Body(data=b"body"))
        fake.close_job(frame.id)

    with FakeDaemon(tmp_path, script, ["fd-output"]) as fake:
        outcome = cli.run(fake, "get", *arguments, "-o", tmp_path / "out", URL)
    assert outcome.status == 0, outcome
    assert (tmp_path / "out").read_bytes().endswith(b"body")


def test_an_output_that_the_daemon_cannot_write(tmp_path):
    """Looks as if fetchctl itself had failed to write it."""

    def script(fake):
        frame = fake.expect("submit")
        os.write(fake.fds[0], b"some")
        os.close(fake.fds.pop())
        fake.send(frame.id, accepted=pb.Accepted(job=1))
        fake.send(frame.id, head=pb.Head(status=200))
        fake.close_job(
            frame.id, "OUTPUT_FAILED", failures=[pb.Failure(code=code("OUTPUT_ERROR"), text="no space", sys_errno=28)]
        )

    with FakeDaemon(tmp_path, script, ["fd-output"]) as fake:
        outcome = cli.run(fake, "get", "-o", tmp_path / "out", URL)
    assert outcome.status == OUTPUT
    assert outcome.err == f"fetchctl: {URL}: cannot write to {tmp_path / 'out'}: No space left on device\n"
    assert not list(tmp_path.iterdir())
