# SPDX-License-Identifier: MIT
"""Much at once: that it is right, stays bounded, and shares what it has. No test here measures time."""

import collections
import hashlib
import threading

import pytest

from support import cli
from support.origins import Documents, Nginx
from support.process import SANITIZED, until
from support.protocol import Result

BIG = 256 << 20 if SANITIZED else 1 << 30
JOBS = 2000
PROCESSES = 60 if SANITIZED else 300


@pytest.mark.bulk
def test_a_big_file_while_a_slow_reader_and_20_others_run(start_daemon, certificates, tmp_path):
    """The output is the same byte for byte, and the daemon's memory stays within 32 MiB of what it was when idle."""
    documents = Documents(tmp_path / "big")
    digest = documents.add("big", BIG)
    others = 32 << 20
    documents.add("other", others)
    daemon = start_daemon({"job.max_size": "0"})
    with Nginx(tmp_path, certificates.good, documents) as origin, daemon.client() as slow:
        done = threading.Event()
        taken = []

        def read_slowly():
            number = slow.submit(origin.url("/big"), initial_credit=65_536)
            while not done.is_set():
                # About 1 MB a second: credit is given back as a slow reader would.
                slow.wait_received(number, slow.granted[number])
                slow.credit(number, 65_536)
                done.wait(0.0625)
            taken.append(slow.received(number))
            slow.cancel(number)
            assert slow.finish(number, refill=False).reason == "CANCELLED"

        reader = threading.Thread(target=read_slowly)
        reader.start()
        target = tmp_path / "copy"
        results = []

        def run_crowd():
            with daemon.client(name="crowd") as client:
                numbers = [client.submit(origin.url("/other")) for _ in range(20)]
                results.extend(count(client, numbers))

        crowd = threading.Thread(target=run_crowd)
        crowd.start()
        outcome = cli.run(daemon, "get", "-o", target, origin.url("/big"))
        crowd.join()
        done.set()
        reader.join()
        assert outcome.status == 0, outcome
        assert results == [others] * 20
        assert taken and taken[0] > 0
        peak = daemon.memory("VmHWM")
    with open(target, "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    target.unlink()
    (documents.folder / "big").unlink()
    if not SANITIZED:
        assert peak - daemon.idle_rss < 32 << 20, f"{(peak - daemon.idle_rss) >> 10} KiB above idle"


def count(client, numbers):
    """Takes the bodies of these jobs without keeping them; returns their sizes."""
    sizes = dict.fromkeys(numbers, 0)
    owed = dict.fromkeys(numbers, 0)
    waiting = set(numbers)
    while waiting:
        frame = client.read()
        kind = frame.WhichOneof("msg")
        if kind == "body":
            client.frames[frame.id].pop()
            sizes[frame.id] += len(frame.body.data)
            owed[frame.id] += len(frame.body.data)
            if owed[frame.id] >= client.default_credit // 2:
                client.credit(frame.id, owed[frame.id])
                owed[frame.id] = 0
        elif kind == "closed":
            assert Result(client.frames[frame.id]).reason == "ENDED", frame
            waiting.discard(frame.id)
    return [sizes[number] for number in numbers]


def test_2000_jobs_at_once(start_daemon, certificates, documents, tmp_path):
    daemon = start_daemon({"ipc.max_jobs_per_client": JOBS, "pool.max_connections_per_origin": "2"})
    with Nginx(tmp_path, certificates.good, documents, max_concurrent_streams=100) as origin:
        with daemon.client() as client:
            numbers = [client.submit(origin.url(f"/small?{index}")) for index in range(JOBS)]
            results = client.finish(*numbers)
            assert collections.Counter(result.reason for result in results) == {"ENDED": JOBS}
            assert all(result.body == results[0].body and len(result.body) == 1024 for result in results)
            pool = client.stats().pool
            assert pool.connections_opened <= 2 and pool.streams_opened == JOBS
        # First in, first out: on each connection the streams were opened in the order of the jobs.
        by_connection = collections.defaultdict(list)
        for attempt, index in ((result.closed.attempts[0], index) for index, result in enumerate(results)):
            by_connection[attempt.connection].append((attempt.stream, index))
        assert len(by_connection) <= 2
        for streams in by_connection.values():
            assert [index for _, index in sorted(streams)] == sorted(index for _, index in streams)
        until(lambda: len(origin.requests()) >= JOBS, "nginx to log them all")
        assert len(origin.requests()) == JOBS
        assert len({request[0] for request in origin.requests()}) <= 2


def test_300_processes_and_one_handshake(daemon, certificates, documents, tmp_path):
    with Nginx(tmp_path, certificates.good, documents) as origin:
        width = 20
        for begin in range(0, PROCESSES, width):
            running = [cli.start(daemon, "get", origin.url("/small")) for _ in range(min(width, PROCESSES - begin))]
            for process in running:
                out, err = process.communicate(timeout=120)
                assert process.returncode == 0, err
                assert out == documents.read("small")
        pool = daemon.stats().pool
        assert pool.tls_handshakes == pool.connections_opened == 1
        assert pool.streams_opened == PROCESSES and pool.streams_reused == PROCESSES - 1
        # nginx writes its log after the response.
        requests = until(lambda: len(origin.requests()) >= PROCESSES and origin.requests(), "nginx to log them all")
        assert len(requests) == PROCESSES
        assert len({request[0] for request in requests}) == 1, "the server saw one connection"


def test_many_clients_at_once(start_daemon, origin, documents):
    """Each gets its own answers and nobody else's."""
    daemon = start_daemon({"ipc.max_clients": "200", "ipc.max_clients_per_uid": "200"})
    clients = [daemon.client(name=f"client {index}") for index in range(100)]
    names = ("small", "page", "one")
    jobs = [(client, name, client.submit(origin.url(f"/{name}"))) for client in clients for name in names]
    for client, name, number in jobs:
        result = client.finish(number)
        assert result.reason == "ENDED"
        assert hashlib.sha256(result.body).hexdigest() == documents.sha256[name]
    for client in clients:
        client.close()
    assert daemon.stats().pool.connections_opened <= 6


def test_memory_returns_after_many_jobs(start_daemon, nghttpd, documents):
    """Twenty rounds of the same load: the last ones need no more memory than the first ones did."""
    daemon = start_daemon()
    peaks = []
    for _ in range(20):
        with daemon.client() as client:
            numbers = [client.submit(nghttpd.url("/page")) for _ in range(100)]
            assert all(result.reason == "ENDED" for result in client.finish(*numbers))
        peaks.append(daemon.memory("VmRSS"))
    if not SANITIZED:
        # How much of a round's bodies waits in the daemon at once is chance; what is left behind would add up.
        chance = 100 * documents.SIZES["page"] + (2 << 20)
        assert peaks[-1] <= peaks[4] + chance, [peak >> 10 for peak in peaks]
