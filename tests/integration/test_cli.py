# SPDX-License-Identifier: MIT
"""fetchctl: what it prints, what it writes, and how it exits."""

import concurrent.futures
import hashlib
import os
import re
import resource
import select
import signal
import socket
import subprocess
import threading

import pytest

from support import cli, process
from support.h2_server import answer_all, simple
from support.process import PATIENCE, free_port, needs_ipv6, until
from support.protocol import pb, varint

REASON = 30
RESET, CONNECTION_LOST, MAXSIZE, CANCELLED, TIMEOUT, CONNECT_FAILED, DENIED = (REASON + n for n in (2, 3, 4, 5, 10, 11, 14))
USAGE, UNREACHABLE, OUTPUT, NO_SUCH_JOB, HTTP_STATUS = 2, 3, 5, 7, 22


def events(outcome, kind):
    return [event for event in outcome.json() if event.get("event") == kind]


class Terminal:
    """fetchctl with standard error on a terminal, and what that shows."""

    def __init__(self, daemon, *arguments):
        self.main, terminal = os.openpty()
        self.shown = ""
        self.running = process.start(cli.command(daemon, *arguments), stdout=subprocess.DEVNULL, stderr=terminal)
        os.close(terminal)

    def read(self):
        try:
            piece = os.read(self.main, 4096).decode()
        except OSError:  # the other end is closed
            piece = ""
        self.shown += piece
        return bool(piece)

    def read_until(self, what):
        """Reads until a text was shown or a condition holds."""
        while not (what() if callable(what) else what in self.shown):
            assert self.read(), f"the end, without {what}: {self.shown!r}"

    def finish(self):
        while self.read():
            pass
        os.close(self.main)
        assert "Sanitizer" not in self.shown, self.shown
        return self.running.wait(PATIENCE)

    def screen(self):
        """The lines that one sees now."""
        lines, row, column = [""], 0, 0
        for piece in re.findall(r"\x1b\[(?:\d*[AJK])|[\r\n]|[^\x1b\r\n]+", self.shown):
            if piece == "\r":
                column = 0
            elif piece == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif piece == "\x1b[J":
                lines[row] = lines[row][:column]
                del lines[row + 1 :]
            elif piece == "\x1b[K":
                lines[row] = lines[row][:column]
            elif piece.startswith("\x1b"):
                row -= int(piece[2:-1])
                assert row >= 0, "above the top"
            else:
                lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
                column += len(piece)
        return [line.rstrip() for line in lines if line]


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
    path = tmp_path / "missing" / "out"
    outcome = cli.run(daemon, "get", "-o", path, origin.url("/one"))
    assert outcome.status == OUTPUT and f"cannot write to {path}: its folder does not exist" in outcome.err, outcome
    outcome = cli.run(daemon, "get", "-o", tmp_path, origin.url("/one"))
    assert outcome.status == OUTPUT and f"cannot write to {tmp_path}: it is a directory" in outcome.err, outcome
    # Known before the first byte, not when the body is complete.
    outcome = cli.run(daemon, "get", "-o", tmp_path / ("n" * 256), origin.url("/large"))
    assert outcome.status == OUTPUT and "name too long" in outcome.err, outcome


@pytest.mark.parametrize("name", ["one", "large"])
def test_disk_that_is_full(daemon, origin, tmp_path, name):
    """One message, and the other fetches go on."""
    outcome = cli.run(daemon, "get", "-o", "/dev/full", "-o", tmp_path / "out", origin.url(f"/{name}"), origin.url("/one"))
    assert outcome.status == OUTPUT and outcome.err.count("\n") == 1, outcome
    assert "cannot write to /dev/full: No space left on device" in outcome.err, outcome
    assert (tmp_path / "out").stat().st_size == 1


def test_standard_output_that_is_full(daemon, origin):
    with open("/dev/full", "wb") as full:
        running = subprocess.run(
            cli.command(daemon, "get", origin.url("/page")),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    assert running.returncode == OUTPUT and b"cannot write to standard output: No space left" in running.stderr


def test_mode_of_a_file_follows_the_umask(daemon, origin, tmp_path):
    target = tmp_path / "out"
    assert cli.run(daemon, "get", "-o", target, origin.url("/one"), umask=0o027).status == 0
    assert target.stat().st_mode & 0o777 == 0o640
    target.chmod(0o604)
    assert cli.run(daemon, "get", "-o", target, origin.url("/one"), umask=0o077).status == 0
    assert target.stat().st_mode & 0o777 == 0o604


def test_many_urls_in_parallel(daemon, origin, documents, tmp_path):
    """Also with fewer files than fetches: those that find none wait until one ends."""
    count = 200
    names = [tmp_path / f"out{number}" for number in range(count)]
    outputs = [part for name in names for part in ("-o", name)]
    urls = [origin.url(f"/small?{number}") for number in range(count)]
    for limit in (1000, 24):
        outcome = cli.run(
            daemon, "get", "--parallel", count, *outputs, *urls,
            preexec_fn=lambda files=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
        )  # fmt: skip
        assert outcome.status == 0 and not outcome.err, outcome
        for name in names:
            assert name.read_bytes() == documents.read("small")
            name.unlink()
    outcome = cli.run(daemon, "get", "--parallel", 3, *urls)
    assert outcome.status == 0 and outcome.out == documents.read("small") * count


def test_head_of_an_empty_body(daemon, serve):
    outcome = cli.run(daemon, "get", "-i", *[serve(simple(204, body=b"")).url()] * 2)
    assert outcome.status == 0 and outcome.out.count(b"HTTP/2 204\r\n") == 2, outcome


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
    # What the daemon advises is not said again.
    assert outcome.err.count("\n") == 1, outcome


def test_password_in_a_url_is_never_shown(daemon, tmp_path):
    url = "https://user:secret@localhost/thing"
    shown = "https://...@localhost/thing"
    for arguments, status in (
        (("get", url), DENIED),
        (("get", "-v", url), DENIED),
        (("get", "-o", tmp_path / "missing" / "out", url), OUTPUT),
        (("get", "-O", f"{url}/"), USAGE),
        ((url,), USAGE),
    ):
        outcome = cli.run(daemon, *arguments)
        assert outcome.status == status and shown in outcome.err and "secret" not in outcome.err, outcome
    outcome = cli.run(daemon, "get", "--json", url)
    assert {event["url"] for event in outcome.json()} == {shown} and b"secret" not in outcome.out + outcome.err.encode()


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


@needs_ipv6
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
    assert outcome.status == 0 and "warning" in outcome.err and "1024" in outcome.err, outcome
    outcome = cli.run(daemon, "get", "--warn-size", "1K", "-q", "-o", "/dev/null", origin.url("/page"))
    assert outcome.status == 0 and outcome.err == "", outcome


def test_warnings_about_a_limit_that_is_the_daemons(start_daemon, origin):
    """Nobody asked: only those who want to know all are told, and programs."""
    daemon = start_daemon({"job.warn_size": "1024"})
    arguments = ("-o", "/dev/null", origin.url("/page"))
    outcome = cli.run(daemon, "get", *arguments)
    assert outcome.status == 0 and outcome.err == "", outcome
    assert "warning" in cli.run(daemon, "get", "-v", *arguments).err
    outcome = cli.run(daemon, "get", "--json", *arguments)
    assert events(outcome, "warning") and outcome.err == "", outcome


def test_verbose_tells_how_it_ended(daemon, nginx):
    outcome = cli.run(daemon, "get", "-v", nginx.url("/small"), "-o", "/dev/null")
    number = r"\d+\.\d"
    assert outcome.status == 0 and re.fullmatch(
        rf"fetchctl: {re.escape(nginx.url('/small'))}: closed: ENDED, status 200, 1024 bytes in {number} ms "
        rf"\(head after {number} ms\), stream 1 on connection 1 to 127\.0\.0\.1:{nginx.port}, 1 attempt\n",
        outcome.err,
    ), outcome
    outcome = cli.run(daemon, "get", "--verbose", "ftp://localhost/")
    assert outcome.status == DENIED and "closed: DENIED" in outcome.err, outcome


def test_verbose_without_a_head(daemon, serve):
    server = serve(answer_all(lambda connection, request: connection.reset(request.stream, 2)))
    outcome = cli.run(daemon, "get", "-v", "--no-replay", server.url())
    assert outcome.status == RESET and "closed: RESET, 0 bytes in" in outcome.err, outcome
    assert "status" not in outcome.err and "head after" not in outcome.err, outcome


def test_options_before_the_verb(daemon):
    """Those that every verb has; the verb's own come behind it."""

    def run(*arguments):
        return subprocess.run(
            [cli.FETCHCTL, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )

    path = str(daemon.path)
    for arguments in (
        ("--socket", path, "--json", "ping"),
        (f"--socket={path}", "--json", "ping"),
        ("--json", "ping", "--socket", path),
        ("--json", "--json", "--socket", "/nonexistent", "ping", "--socket", path),
        ("ping", "--json", "--socket", path),
    ):
        done = run(*arguments)
        assert done.returncode == 0 and f'"pid":{daemon.process.pid}'.encode() in done.stdout, (arguments, done)
    assert run("--socket", path, "get", "--help").stdout == run("get", "--help").stdout
    assert run("--json", "--help").stdout == run("--help").stdout == run("help").stdout
    assert run("--json", "--version").stdout.startswith(b"fetchctl ")
    for arguments, text in (
        (("--socket",), b"--socket needs a PATH"),
        (("--json", "--socket"), b"--socket needs a PATH"),
        (("--json",), b"Usage: fetchctl"),
        (("--fail", "get"), b"--fail cannot stand before the verb"),
        (("--json", "no-such-verb"), b"no such verb: no-such-verb"),
    ):
        done = run(*arguments)
        assert done.returncode == USAGE and text in done.stderr and not done.stdout, (arguments, done)


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


def test_ignored_signal_stays_ignored(daemon, serve):
    """As nohup and a shell's background job have it."""
    gate = threading.Event()

    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200)
        connection.data(request.stream, b"before ")
        connection.wait(gate)
        connection.data(request.stream, b"after", end=True)
        connection.idle()

    server = serve(script)
    running = process.start(
        ["/bin/sh", "-c", 'trap "" HUP INT; exec "$@"', "sh", *cli.command(daemon, "get", server.url())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout.read(7) == b"before "
    running.send_signal(signal.SIGHUP)
    running.send_signal(signal.SIGINT)
    gate.set()
    out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, out) == (0, b"after"), err


@pytest.mark.parametrize("blocking", [True, False])
def test_signal_while_nobody_reads_standard_output(daemon, origin, blocking):
    ours, theirs = os.pipe()
    os.set_blocking(theirs, blocking)
    running = process.start(cli.command(daemon, "get", origin.url("/large")), stdout=theirs, stderr=subprocess.PIPE)
    until(lambda: not select.select([], [theirs], [], 0)[1], "the pipe to be full")
    os.close(theirs)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=PATIENCE)
    os.close(ours)
    assert running.returncode == 128 + signal.SIGTERM


def test_smallest_default_credit(start_daemon, documents, origin):
    """Also for one that is held back first, because its turn on standard output has not come."""
    daemon = start_daemon({"ipc.default_credit": "4K"})
    outcome = cli.run(daemon, "get", origin.url("/large"), origin.url("/large"))
    assert outcome.status == 0 and outcome.out == documents.read("large") * 2, outcome.err


def test_list_that_does_not_go_on(tmp_path):
    """A daemon that says "more" for ever is not asked for ever."""

    class Broken:
        path = tmp_path / "broken.sock"

    def serve(listener):
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:

            def send(frame):
                data = frame.SerializeToString()
                connection.sendall(varint(len(data)) + data)

            def receive():
                # Everything that fetchctl sends here is short.
                return pb.ClientFrame.FromString(stream.read(stream.read(1)[0]))

            receive()
            hello = pb.ServerHello(
                major=1, server_version="0", instance_id="0" * 32, max_client_frame_bytes=65536,
                max_server_frame_bytes=131072, max_jobs=1, default_credit_bytes=1, max_credit_bytes=1,
            )  # fmt: skip
            send(pb.ServerFrame(hello=hello))
            for after in (0, 5):
                request = receive()
                assert request.list.after_job == after
                send(pb.ServerFrame(id=request.id, list=pb.ListReply(jobs=[pb.JobInfo(job=5)], more=True)))
            assert stream.read() == b""

    with socket.socket(socket.AF_UNIX) as listener, concurrent.futures.ThreadPoolExecutor() as pool:
        listener.bind(str(Broken.path))
        listener.listen()
        listener.settimeout(PATIENCE)
        served = pool.submit(serve, listener)
        outcome = cli.run(Broken, "list")
        served.result(PATIENCE)
    assert outcome.status == 1 and "again" in outcome.err and outcome.out.count(b"\n") == 3, outcome


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
        ("get", "-o", "", "https://localhost/"),
        ("cancel",),
    ],
)
def test_usage_errors(daemon, arguments):
    outcome = cli.run(daemon, *arguments)
    assert outcome.status == USAGE and outcome.err and not outcome.out, outcome


def test_more_outputs_than_urls(daemon, tmp_path):
    outcome = cli.run(daemon, "get", "-o", "one", "-o", "two", "https://localhost/1", cwd=tmp_path)
    assert outcome.status == USAGE and "2 times -o" in outcome.err and "for 1 URL:" in outcome.err, outcome
    outcome = cli.run(daemon, "get", "-o", "one", "-o", "one", *["https://localhost/"] * 2, cwd=tmp_path)
    assert outcome.status == USAGE and "two URLs would be written to one" in outcome.err, outcome


def test_fewer_outputs_than_urls(daemon, origin, documents, tmp_path):
    """The rest goes to standard output, in order."""
    urls = [origin.url(f"/{name}") for name in ("small", "page", "one")]
    outcome = cli.run(daemon, "get", "-o", tmp_path / "out", *urls)
    assert outcome.status == 0 and outcome.out == documents.read("page") + documents.read("one"), outcome
    assert (tmp_path / "out").read_bytes() == documents.read("small")


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
    terminal = Terminal(daemon, "get", "-o", "/dev/null", server.url("/thing"))
    terminal.read_until("50%")
    gate.set()
    assert terminal.finish() == 0
    assert "50%" in terminal.shown
    (line,) = terminal.screen()
    assert re.fullmatch(r"null +100% +976K +\S+/s  in \S+", line) and "ETA" not in line, terminal.shown


def test_progress_of_several(daemon, serve, tmp_path):
    """What ended well stays, what failed goes, and what runs is shown below."""
    gate = threading.Event()

    def respond(connection, request):
        path = request.get(b":path")[0]
        if path == b"/bad":
            connection.reset(request.stream, 2)
            return
        connection.headers(request.stream, 200)
        if path == b"/slow":
            connection.data(request.stream, b"x" * 2048)
            connection.wait(gate)
        connection.data(request.stream, b"", end=True)

    names = ("empty", "bad", "slow")
    outputs = [part for name in names for part in ("-o", tmp_path / name)]
    # One server each: a script does one thing after the other.
    urls = [serve(answer_all(respond)).url(f"/{name}") for name in names]
    terminal = Terminal(daemon, "get", *outputs, *urls)
    terminal.read_until("RESET")
    # Unknown length: bytes, and no percentage.
    terminal.read_until(lambda: [line for line in terminal.screen() if re.match(r"slow +2\.0K", line)])
    gate.set()
    assert terminal.finish() == RESET
    lines = terminal.screen()
    kinds = sorted(line.split()[0] for line in lines)
    assert kinds == ["empty", "fetchctl:", "slow"], lines
    (empty,) = [line for line in lines if line.startswith("empty")]
    assert re.fullmatch(r"empty +100% +0 +0/s  in \S+", empty), lines
    assert re.fullmatch(r"slow +100% +2\.0K +\S+/s  in \S+", lines[-1]), lines


def test_no_progress_when_not_wanted(daemon, origin):
    for flag in ("-q", "--no-progress"):
        terminal = Terminal(daemon, "get", flag, "-o", "/dev/null", origin.url("/one"))
        assert terminal.finish() == 0 and terminal.shown == ""


def test_reader_of_standard_output_that_goes_away(daemon, origin):
    running = cli.start(daemon, "get", origin.url("/large"))
    assert running.stdout.read(1000)
    running.stdout.close()
    running.stderr.close()
    assert running.wait(PATIENCE) == 6


def test_control_characters_of_a_server_do_not_reach_the_terminal(daemon, serve):
    outcome = cli.run(daemon, "get", "-i", serve(simple(200, [("x-evil", "a\x1b]0;title\x07b")])).url())
    assert b"\x1b" not in outcome.out and "\x1b" not in outcome.err
