# SPDX-License-Identifier: MIT
"""Many jobs at once under an origin that dies, and under one that keeps closing its connections: none is lost, none is done
twice, and the daemon's counters add up."""

import collections
import signal

import pytest

from support.origins import Nghttpd
from support.process import free_port, stop, until
from support.protocol import reason_name
from verdict import DELIVERED, DONE, IDEMPOTENT, NOT_IDEMPOTENT, NOTHING_SENT, UNPROCESSED, verdict

pytestmark = pytest.mark.bulk


def closed_by_reason(client):
    return collections.Counter({reason_name(one.reason): one.count for one in client.stats().jobs.closed})


def test_43_origin_that_dies_under_500_jobs(settled, certificates, documents, tmp_path):
    """Killed while some jobs receive, some wait for an answer and some for a stream, and started again on the same port. Every
    GET that nothing was delivered of ends ENDED. The others say what happened to them."""
    settings = {"job.max_attempts": "16", "job.backoff": "50ms", "job.max_backoff": "500ms"}
    settings |= {"pool.max_streams_per_connection": "99", "job.delivery_timeout": "100ms"}
    daemon = settled(settings)
    port = free_port()
    with Nghttpd(tmp_path / "first", certificates.good, documents, port=port) as first, daemon.client() as client:
        before = closed_by_reason(client)
        receiving = [client.submit(first.url("/large"), initial_credit=1000) for _ in range(150)]
        for number in receiving:
            client.wait_received(number, 1000)
        # From here on it answers nothing, and then it is gone.
        first.process.send_signal(signal.SIGSTOP)
        kinds = [("GET", True), ("POST", True), ("GET", True), ("PUT", True), ("POST", False)]
        waiting = []
        for index in range(350):
            method, retry = kinds[index % 5]
            body = {"body": b"b"} if method != "GET" else {}
            number = client.submit(first.url(f"/small?{index}"), method=method, retry_allowed=retry, **body)
            waiting.append((number, method, retry))

        def full():
            stats = client.stats()
            return stats.jobs.queued and stats.pool.streams == 99 * stats.pool.connections

        until(full, "no stream to be left")
        stop(first.process, signal.SIGKILL)
        with Nghttpd(tmp_path / "second", certificates.good, documents, port=port, echo_upload=True):
            lost = client.finish(*receiving)
            others = client.finish(*[number for number, _, _ in waiting])
        for result in lost:
            assert (result.reason, result.head.status, len(result.body) >= 1000) == ("CONNECTION_LOST", 200, True), result
            assert verdict(result).ledger == (("CONNECTION_LOST", *DELIVERED),)
        safe = {("CONNECTION_LOST", *IDEMPOTENT), ("INACTIVE", *UNPROCESSED), ("CONNECT_FAILED", *NOTHING_SENT)}
        for result, (_, method, retry) in zip(others, waiting):
            ledger = verdict(result).ledger
            if method != "POST":
                assert result.reason == "ENDED", result
                assert set(ledger[:-1]) <= safe and ledger[-1] == ("ENDED", *DONE), result
                continue
            # Whether one that may not go twice went out before the end is chance; that its end says so is not.
            unsent = safe - {("CONNECTION_LOST", *IDEMPOTENT)}
            assert set(ledger[:-1]) <= unsent, result
            final = {("ENDED", *DONE), ("CONNECTION_LOST", *NOT_IDEMPOTENT)}
            assert ledger[-1] in (final if retry else final | {("CONNECT_FAILED", *NOTHING_SENT)}), result
            assert result.reason == ledger[-1][0]
        reasons = collections.Counter(result.reason for result in (*lost, *others))
        assert closed_by_reason(client) - before == reasons and sum(reasons.values()) == 500
        jobs, pool = client.stats().jobs, client.stats().pool
        assert not (jobs.queued or jobs.sent or jobs.receiving or jobs.delivering or jobs.backoff)
        assert pool.streams == pool.waiting == 0


def test_15_goaway_every_50_streams_under_10000_jobs(settled, serve):
    """Each connection serves fifty and turns the rest away. Every job is answered exactly once, and was asked for as often
    as its ledger says, each time for the same good reason."""
    count, each = 10_000, 50
    daemon = settled()
    answered = collections.Counter()

    def script(peer):
        for index in range(each):
            request = peer.request()
            if index == each - 1:
                peer.goaway(request.stream)
            answered[request.path] += 1
            peer.respond(request.stream, body=b"fine")
        peer.idle()

    server = serve(script)
    with daemon.client() as client:
        before = client.stats()
        results = client.finish(*[client.submit(server.url(f"/{index}")) for index in range(count)])
        assert [result for result in results if result.reason != "ENDED"] == []
        assert {result.body for result in results} == {b"fine"}
        assert answered == {f"/{index}": 1 for index in range(count)}
        # Turned away after it was sent, or before it could be.
        turned_away = {("RESET", *UNPROCESSED), ("INACTIVE", *UNPROCESSED)}
        assert {entry for result in results for entry in verdict(result).ledger[:-1]} <= turned_away
        total = sum(len(result.closed.attempts) for result in results)
        tries = {
            f"/{index}": sum(one.stream > 0 for one in result.closed.attempts) for index, result in enumerate(results)
        }
        # Those that were turned away last may still be on their way to the server.
        until(lambda: len(server.requests) >= sum(tries.values()), "the server to have read every request")
        assert collections.Counter(request.path for _, request in server.requests) == tries
        after = client.stats()
        assert after.jobs.replays - before.jobs.replays == total - count
        assert after.pool.streams_opened - before.pool.streams_opened == total
        assert total > count, "nobody was turned away"
    assert server.accepted >= count // each
