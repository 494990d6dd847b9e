# SPDX-License-Identifier: MIT
"""fetchctl: what it prints, what it writes, and how it exits."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from support import cli
from support.h2_server import simple
from support.process import PATIENCE, free_port, until

REASON = 30
RESET, CONNECTION_LOST, MAXSIZE, CANCELLED, TIMEOUT, CONNECT_FAILED, DENIED = (REASON + n for n in (2, 3, 4, 5, 10, 11, 14))
USAGE, UNREACHABLE, OUTPUT, NO_SUCH_JOB, HTTP_STATUS = 2, 3, 5, 7, 22


def events(outcome, kind):
    return [event for event in outcome.json() if event.get("event") == kind]


def test_get_to_standard_output(daemon, origin, documents):
    outcome = cli.run(daemon, "get", origin.url("/page"))
    assert outcome.status == 0 and outcome.out == documents.read("page") and outcome.err == "", outcome


@pytest.mark.parametrize("name", ["empty", "large"])
def test_get_to_a_file(daemon, origin, documents, tmp_path, name):
    target = tmp_path / "out"
    outcome = cli.run(daemon, "get", "-o", target, origin.url(f"/{name}"))
    assert outcome.status == 0 and outcome.out == b"" and outcome.err == "", outcome
    assert hashlib.sha256(target.read_bytes()).hexdigest() == documents.sha256[name]
    assert not target.stat().st_mode & 0o111
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out"]


def test_get_by_the_urls_name(daemon, origin, documents, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    outcome = cli.run(daemon, "get", "-O", origin.url("/small?query#fragment"), origin.url("/page"), cwd=folder)
    assert outcome.status == 0, outcome
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: documents.read(name) for name in ("small", "page")
    }


def test_incomplete_output_never_appears(daemon, serve, tmp_path):
    """And what was there under that name stays."""

    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200, [("content-length", "100")])
        connection.data(request.stream, b"part")
        connection.reset(request.stream, 2)
        connection.idle()

    target = tmp_path / "out"
    target.write_text("before", encoding="ascii")
    outcome = cli.run(daemon, "get", "-o", target, serve(script).url())
    assert outcome.status == RESET and "RESET" in outcome.err, outcome
    assert target.read_text(encoding="ascii") == "before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out"]


def test_output_that_cannot_be_written(daemon, origin, tmp_path):
    outcome = cli.run(daemon, "get", "-o", tmp_path / "missing" / "out", origin.url("/one"))
    assert outcome.status == OUTPUT and "missing" in outcome.err, outcome
    if os.path.exists("/dev/full"):
        outcome = cli.run(daemon, "get", "-o", "/dev/full", origin.url("/page"))
        assert outcome.status == OUTPUT, outcome


def test_head_is_shown_with_the_body(daemon, nginx):
    outcome = cli.run(daemon, "get", "-i", nginx.url("/one"))
    head, _, body = outcome.out.replace(b"\r\n", b"\n").partition(b"\n\n")
    assert outcome.status == 0 and head.startswith(b"HTTP/2 200") and b"content-length: 1" in head and len(body) == 1


def test_request_options(daemon, serve, tmp_path):
    server = serve(simple())
    outcome = cli.run(daemon, "get", "-X", "PUT", "-H", "X-One: 1", "-H", "X-Two:2", "-d", "data", server.url("/a?b"))
    assert outcome.status == 0 and outcome.out == b"hello\n", outcome
    (request,) = server.requests
    assert request.get(b":method") == [b"PUT"] and request.get(b"x-one") == [b"1"] and request.get(b"x-two") == [b"2"]
    assert request.body == b"data" and request.get(b":path") == [b"/a?b"]
    (tmp_path / "body").write_bytes(bytes(range(256)))
    assert cli.run(daemon, "get", "-d", f"@{tmp_path / 'body'}", server.url()).status == 0
    assert server.requests[1].get(b":method") == [b"POST"] and server.requests[1].body == bytes(range(256))


@pytest.mark.parametrize(
    "url, word",
    [
        ("https://user:secret@localhost/", "URL_USERINFO"),
        ("ftp://localhost/", "URL_SCHEME"),
        ("http://localhost/", "CLEARTEXT_NOT_ALLOWED"),
        ("nonsense", "URL_INVALID"),
    ],
)
def test_denied_url(daemon, url, word):
    outcome = cli.run(daemon, "get", url)
    assert outcome.status == DENIED and outcome.out == b"", outcome
    assert word in outcome.err or "DENIED" in outcome.err
    assert "secret" not in outcome.err


@pytest.mark.parametrize(
    "written, authority, path",
    [
        ("https://Bücher.test:{port}/a?q=1#f", "xn--bcher-kva.test:{port}", "/a?q=1"),
        ("https://localhost:{port}?q", "localhost:{port}", "/?q"),
        ("https://127.0.0.1:{port}/#f", "127.0.0.1:{port}", "/"),
    ],
)
def test_url_forms(daemon, serve, written, authority, path):
    server = serve(simple())
    outcome = cli.run(daemon, "get", written.format(port=server.port))
    assert outcome.status == 0, outcome
    assert server.requests[0].get(b":authority") == [authority.format(port=server.port).encode()]
    assert server.requests[0].get(b":path") == [path.encode()]


def test_ipv6_literal(daemon, serve):
    server = serve(simple(), host="::1")
    assert cli.run(daemon, "get", server.url()).status == 0
    assert server.requests[0].get(b":authority") == [f"[::1]:{server.port}".encode()]


def test_status_of_400_and_more(daemon, origin, tmp_path):
    assert cli.run(daemon, "get", origin.url("/missing")).status == 0
    outcome = cli.run(daemon, "get", "--fail", "-o", tmp_path / "out", origin.url("/missing"))
    assert outcome.status == HTTP_STATUS and "404" in outcome.err, outcome
    assert not (tmp_path / "out").exists()


def test_connect_timeout_of_a_silent_port(daemon):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"https://localhost:{listener.getsockname()[1]}/"
        outcome = cli.run(daemon, "get", "--connect-timeout", "0.3", url)
    assert outcome.status == CONNECT_FAILED and "CONNECT_FAILED" in outcome.err, outcome


def test_timeouts(daemon, serve):
    server = serve(lambda connection: connection.idle())
    assert cli.run(daemon, "get", "--timeout", "0.2", server.url()).status == TIMEOUT

    def script(connection):
        connection.headers(connection.request().stream, 200)
        connection.idle()

    outcome = cli.run(daemon, "get", "--stall-timeout", "0.2", serve(script).url())
    assert outcome.status == TIMEOUT and "TIMEOUT" in outcome.err, outcome


def test_max_size_and_warn_size(daemon, origin):
    outcome = cli.run(daemon, "get", "--max-size", "1K", origin.url("/page"))
    assert outcome.status == MAXSIZE and "MAXSIZE_EXCEEDED" in outcome.err, outcome
    outcome = cli.run(daemon, "get", "--warn-size", "1K", "-o", "/dev/null", origin.url("/page"))
    assert outcome.status == 0 and "1024" in outcome.err, outcome


def test_several_urls_and_one_failure(daemon, origin, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    bad = f"https://localhost:{free_port()}/x"
    outcome = cli.run(daemon, "get", "-O", "--parallel", "2", origin.url("/small"), bad, origin.url("/page"), cwd=folder)
    assert outcome.status == CONNECT_FAILED, outcome
    assert sorted(path.name for path in folder.iterdir()) == ["page", "small"]


def test_json_events(daemon, nginx, documents, tmp_path):
    outcome = cli.run(daemon, "get", "--json", "-o", tmp_path / "out", nginx.url("/page"))
    assert outcome.status == 0, outcome
    kinds = [event["event"] for event in outcome.json()]
    assert kinds[0] == "accepted" and kinds[-1] == "closed" and kinds.count("closed") == kinds.count("head") == 1
    (head,) = events(outcome, "head")
    assert head["status"] == 200
    (closed,) = events(outcome, "closed")
    assert closed["reason"] == "ENDED"
    assert (tmp_path / "out").read_bytes() == documents.read("page")


def test_json_failure(daemon):
    outcome = cli.run(daemon, "get", "--json", f"https://localhost:{free_port()}/")
    (closed,) = events(outcome, "closed")
    assert outcome.status == CONNECT_FAILED and closed["reason"] == "CONNECT_FAILED"
    assert "CONNECT_REFUSED" in str(closed)


def test_ping_version_stats_list(daemon, nginx):
    assert cli.run(daemon, "get", "-o", "/dev/null", nginx.url("/page")).status == 0
    ping = cli.run(daemon, "ping")
    assert ping.status == 0 and str(daemon.process.pid).encode() in ping.out, ping
    assert cli.run(daemon, "ping", "--json").json()[0]["pid"] == daemon.process.pid
    version = cli.run(daemon, "version")
    assert version.status == 0 and re.search(rb"\d+\.\d+\.\d+", version.out), version
    assert cli.run(daemon, "version", "--json").json()
    stats = cli.run(daemon, "stats")
    assert stats.status == 0 and f"https://localhost:{nginx.port}".encode() in stats.out, stats
    assert f"https://localhost:{nginx.port}" in str(cli.run(daemon, "stats", "--json").json())
    empty = cli.run(daemon, "list", "--json")
    assert empty.status == 0, empty


def test_list_and_cancel(daemon, serve):
    server = serve(lambda connection: connection.idle())
    running = cli.start(daemon, "get", server.url("/waiting"))
    server.wait_requests(1)
    listed = cli.run(daemon, "list")
    assert listed.status == 0 and server.url("/waiting").encode() in listed.out, listed
    with daemon.client() as client:
        (job,) = client.list().jobs
    assert job.client_name == "fetchctl"
    assert server.url("/waiting") in str(cli.run(daemon, "list", "--json").json())
    assert cli.run(daemon, "cancel", job.job).status == 0
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == CANCELLED and b"CANCELLED" in err
    assert cli.run(daemon, "cancel", job.job).status == NO_SUCH_JOB
    assert cli.run(daemon, "cancel", "nonsense").status == USAGE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_cancels_and_leaves_nothing(daemon, serve, tmp_path, number):
    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"part")
        connection.idle()

    folder = tmp_path / "here"
    folder.mkdir()
    server = serve(script)
    running = cli.start(daemon, "get", "-o", folder / "out", server.url())
    server.wait_requests(1)
    with daemon.client() as client:
        until(lambda: [job for job in client.list().jobs if job.delivered == 4], "the first bytes to be delivered")
        running.send_signal(number)
        running.communicate(timeout=PATIENCE)
        assert running.returncode == 128 + number
        until(lambda: not client.list().jobs, "the job to be cancelled")
    assert not list(folder.iterdir())


def test_no_daemon(tmp_path):
    class Nobody:
        path = tmp_path / "nobody.sock"

    for verb in (("get", "https://localhost/"), ("list",), ("stats",), ("ping",), ("cancel", "1")):
        outcome = cli.run(Nobody, *verb)
        assert outcome.status == UNREACHABLE, outcome
        assert f"cannot reach fetchd at {Nobody.path}" in outcome.err and "start" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-such-verb",),
        ("get",),
        ("get", "--no-such-flag", "https://localhost/"),
        ("get", "--max-size", "many", "https://localhost/"),
        ("get", "--timeout", "-1", "https://localhost/"),
        ("get", "-H", "no colon", "https://localhost/"),
        ("get", "-o", "one", "https://localhost/1", "https://localhost/2"),
        ("cancel",),
    ],
)
def test_usage_errors(daemon, arguments):
    outcome = cli.run(daemon, *arguments)
    assert outcome.status == USAGE and outcome.err and not outcome.out, outcome


def test_daemon_that_dies(start_daemon, serve):
    """The client says so, and does not wait for ever."""
    daemon = start_daemon()
    server = serve(lambda connection: connection.idle())
    running = cli.start(daemon, "get", server.url())
    server.wait_requests(1)
    daemon.signal(signal.SIGKILL)
    daemon.process.wait()
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 4 and err, err
    daemon.path.unlink()
    daemon.finish(status=-signal.SIGKILL)
    daemon.start()


def test_progress_bar_only_on_a_terminal(daemon, serve):
    gate = threading.Event()

    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200, [("content-length", "1000000")])
        connection.data(request.stream, b"x" * 500_000)
        connection.wait(gate)
        connection.data(request.stream, b"x" * 500_000, end=True)
        connection.idle()

    server = serve(script)
    main, terminal = os.openpty()
    running = subprocess.Popen(  # pylint: disable=consider-using-with
        cli.command(daemon, "get", "-o", "/dev/null", server.url("/thing")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while b"50%" not in shown:
        shown += os.read(main, 4096)
    gate.set()
    try:
        while piece := os.read(main, 4096):
            shown += piece
    except OSError:
        pass
    os.close(main)
    assert running.wait(PATIENCE) == 0
    assert b"100%" in shown, shown


def test_reader_of_standard_output_that_goes_away(daemon, origin):
    running = cli.start(daemon, "get", origin.url("/large"))
    assert running.stdout.read(1000)
    running.stdout.close()
    running.stderr.close()
    assert running.wait(PATIENCE) == 6


def test_control_characters_of_a_server_do_not_reach_the_terminal(daemon, serve):
    outcome = cli.run(daemon, "get", "-i", serve(simple(200, [("x-evil", "a\x1b]0;title\x07b")])).url())
    assert b"\x1b" not in outcome.out and "\x1b" not in outcome.err
