# SPDX-License-Identifier: MIT
"""fetchctl with the real daemon: following redirections, what jobs wait for, the pool's connections."""

import re
import signal

import pytest

from support import cli
from support.h2_server import H2Server, answer_all, simple
from support.process import PATIENCE, free_port, until

DENIED = 44
MOVED = {
    b"/start": (301, "/middle"),
    b"/middle": (307, "../end?x=1"),
    b"/loop": (302, "/loop"),
    b"/nowhere": (302, None),
    b"/elsewhere": (302, "ftp://localhost/"),
}


@pytest.fixture(name="moving")
def _moving(serve):
    """A server with some redirections; everything else is there."""

    def respond(connection, request):
        status, location = MOVED.get(request.get(b":path")[0], (200, None))
        fields = [("location", location)] if location else []
        connection.respond(request.stream, status, fields, b"%d\n" % status)

    return serve(answer_all(respond))


def waits_of(daemon):
    """The reason for waiting of every job in the list, by path."""
    jobs = cli.run(daemon, "list", "--json").json()
    return {"/" + job["url"].split("/", 3)[3]: (job["wait"] or {}).get("reason") for job in jobs}


# -- redirections


def test_redirections_are_followed_when_asked_for(daemon, moving):
    outcome = cli.run(daemon, "get", moving.url("/start"))
    assert outcome.status == 0 and outcome.out == b"301\n", outcome
    outcome = cli.run(daemon, "get", "-L", moving.url("/start"))
    assert outcome.status == 0 and outcome.out == b"200\n" and not outcome.err, outcome
    assert [request.get(b":path")[0] for request in moving.requests[1:]] == [b"/start", b"/middle", b"/end?x=1"]


def test_verbose_and_json_show_the_hops(daemon, moving):
    outcome = cli.run(daemon, "get", "-v", "-L", "-o", "/dev/null", moving.url("/start"))
    lines = outcome.err.splitlines()
    assert outcome.status == 0 and len(lines) == 4, outcome
    for number, line, url, status in zip("123", lines, ("", "/middle", "/end?x=1"), (301, 307, 200)):
        said = f" {re.escape(moving.url(url))}," if url else ""
        assert re.match(
            rf"fetchctl: \S+/start: attempt {number} of 3:{said} status {status}, stream \d+ on connection 1 to 127", line
        ), line
    assert f"closed: ENDED, from {moving.url('/end?x=1')}, status 200" in lines[3]
    events = cli.run(daemon, "get", "--json", "-L", moving.url("/start")).json()
    (head,) = [event for event in events if event["event"] == "head"]
    assert head["final_url"] == moving.url("/end?x=1") and head["status"] == 200
    assert [attempt["url"] for attempt in events[-1]["attempts"]] == [
        None,
        moving.url("/middle"),
        moving.url("/end?x=1"),
    ]
    assert [attempt["status"] for attempt in events[-1]["attempts"]] == [301, 307, 200]


def test_redirections_that_are_not_followed(daemon, moving):
    outcome = cli.run(daemon, "get", "-L", "--max-redirs", "3", moving.url("/loop"))
    assert outcome.status == DENIED and outcome.out == b"" and "--max-redirs" in outcome.err, outcome
    assert len(moving.requests) == 4
    # Without a Location it is a response like any other.
    outcome = cli.run(daemon, "get", "-L", moving.url("/nowhere"))
    assert outcome.status == 0 and outcome.out == b"302\n", outcome
    events = cli.run(daemon, "get", "--json", "-L", moving.url("/elsewhere")).json()
    assert events[-1]["reason"] == "DENIED" and events[-1]["failures"][0]["code"] == "REDIRECT_INVALID"
    assert "head" not in [event["event"] for event in events]


def test_redirection_to_cleartext(start_daemon, certificates, serve):
    """Refused; with the option, the daemon's own list of hosts still counts."""
    with H2Server(certificates.good, simple(), tls=False) as plain:
        server = serve(simple(302, [("location", plain.url("/x"))]))
        daemon = start_daemon({"pool.h2c_hosts": "localhost"})
        outcome = cli.run(daemon, "get", "-L", server.url())
        assert outcome.status == DENIED and "--redirect-to-cleartext" in outcome.err, outcome
        outcome = cli.run(daemon, "get", "-L", "--redirect-to-cleartext", server.url())
        assert outcome.status == 0 and outcome.out == b"hello\n", outcome
        daemon = start_daemon()
        outcome = cli.run(daemon, "get", "-L", "--redirect-to-cleartext", server.url())
        assert outcome.status == DENIED and "h2c_hosts" in outcome.err, outcome


# -- what jobs wait for


def test_list_says_what_is_waited_for(start_daemon, serve):
    """The first job has the server's only stream, the second waits for it."""
    daemon = start_daemon({"pool.max_connections_per_origin": "1"})
    server = serve(lambda connection: connection.idle(), settings={3: 1})
    running = [cli.start(daemon, "get", server.url("/first"))]
    until(lambda: waits_of(daemon).get("/first") == "RESPONSE", "the first job to wait for its response")
    running.append(cli.start(daemon, "get", server.url("/second")))
    until(lambda: waits_of(daemon).get("/second") == "STREAM_LIMIT", "the second job to wait for a stream")
    (job,) = [job for job in cli.run(daemon, "list", "--json").json() if job["url"].endswith("/second")]
    assert job["wait"]["limit"] == "SETTINGS_MAX_CONCURRENT_STREAMS" and job["wait"]["limit_value"] == 1
    shown = cli.run(daemon, "list").out.decode().splitlines()
    assert len(shown) == 3 and re.search(r"RESPONSE \S+, \S+ left +https://\S+/first$", shown[1]), shown
    assert re.search(r"STREAM_LIMIT \S+ \(SETTINGS_MAX_CONCURRENT_STREAMS 1\) +https://\S+/second$", shown[2]), shown
    for one in running:
        one.send_signal(signal.SIGINT)
        one.communicate(timeout=PATIENCE)


def test_list_shows_when_the_next_try_is(daemon):
    url = f"https://localhost:{free_port()}/x"
    running = cli.start(daemon, "get", "--retry", url)
    until(lambda: waits_of(daemon).get("/x") in ("RETRY_TIMER", "ORIGIN_BACKOFF"), "the job to wait for its next try")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=PATIENCE)


def test_list_shows_who_does_not_read(daemon, origin):
    """A client that grants no credit holds its own job up, and that is what is said."""
    with daemon.client() as client:
        number = client.submit(origin.url("/large"), initial_credit=1000)
        client.wait_received(number, 1000)
        until(lambda: waits_of(daemon).get("/large") == "CLIENT_CREDIT", "the job to wait for its client")
        client.cancel(number)
        client.finish(number)


# -- the pool


def test_pool_of_connections(daemon, nginx, serve):
    assert cli.run(daemon, "stats", "--pool").out == b"no connections\n"
    assert cli.run(daemon, "get", "-o", "/dev/null", nginx.url("/page")).status == 0
    server = serve(lambda connection: connection.idle())
    running = cli.start(daemon, "get", server.url())
    server.wait_requests(1)
    (shown,) = cli.run(daemon, "stats", "--pool", "--json").json()
    by_origin = {connection["origin"]: connection for connection in shown["connections"]}
    assert set(by_origin) == {f"https://localhost:{nginx.port}", f"https://localhost:{server.port}"}
    idle, busy = by_origin[f"https://localhost:{nginx.port}"], by_origin[f"https://localhost:{server.port}"]
    assert idle["state"] == busy["state"] == "OPEN"
    assert idle["streams"] == 0 and idle["carried"] == 1 and idle["left_ms"] > 0 and idle["why"]
    assert busy["streams"] == 1 and busy["stream_limit"] >= 1 and busy["receive_window_bytes"] > 0
    assert busy["remote"] == f"127.0.0.1:{server.port}"
    lines = cli.run(daemon, "stats", "--pool").out.decode().splitlines()
    assert len(lines) == 5 and sum(" OPEN " in line for line in lines) == 2, lines
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=PATIENCE)


def test_pool_shows_a_pause(start_daemon, serve):
    """The place of a connection that served nothing says why and until when, and so does the job that waits for it."""

    def script(connection):
        connection.request()
        connection.send_goaway(0, 0)
        connection.abort()

    daemon = start_daemon({"pool.backoff": "1min", "pool.max_backoff": "1min"})
    server = serve(script)
    running = cli.start(daemon, "get", server.url("/x"))
    until(lambda: waits_of(daemon).get("/x") == "ORIGIN_BACKOFF", "the job to wait for the pause to end")
    (job,) = cli.run(daemon, "list", "--json").json()
    assert 0 < job["wait"]["left_ms"] <= 60000, job
    assert re.search(r"ORIGIN_BACKOFF \S+, \S+ left", cli.run(daemon, "list").out.decode())
    (shown,) = cli.run(daemon, "stats", "--pool", "--json").json()
    (failed,) = [connection for connection in shown["connections"] if connection["state"] == "FAILED"]
    name = f"https://localhost:{server.port}"
    assert failed["origin"] == name and failed["remote"] is None and failed["why"], failed
    assert 0 < failed["left_ms"] <= 60000, failed
    (origin,) = shown["origins"]
    assert 0 < origin["backoff_ms"] <= 60000 and origin["waiting"] == 1, origin
    lines = cli.run(daemon, "stats", "--pool").out.decode().splitlines()
    assert re.fullmatch(rf"{name}, 1 waiting, a pause of \S+ before the next connection", lines[1]), lines
    assert " FAILED " in lines[2], lines
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=PATIENCE)
