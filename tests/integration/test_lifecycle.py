# SPDX-License-Identifier: MIT
"""Start, configuration, reload, drain and stop."""

import os
import signal
import socket
import subprocess
import threading

import pytest

from support.daemon import FETCHD, Daemon, write_config
from support.h2_server import simple
from support.process import PATIENCE, until
from support.protocol import Client, Gone, pb


def fetchd(*arguments):
    return subprocess.run(
        [str(FETCHD), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def holding(gate):
    def script(connection):
        request = connection.request()
        connection.headers(request.stream, 200, [("content-length", "8")])
        connection.data(request.stream, b"half")
        connection.wait(gate)
        connection.data(request.stream, b"half", end=True)
        connection.idle()

    return script


def stop_now(daemon):
    """Twice SIGTERM, not so fast that the kernel makes one of them."""
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("stopping")
    daemon.signal(signal.SIGTERM)


def test_version():
    done = fetchd("--version")
    assert done.returncode == 0 and done.stdout.startswith("fetchd ")


def test_unknown_flag():
    done = fetchd("--no-such-flag")
    assert done.returncode not in (0, -6, -11) and "no-such-flag" in done.stderr


@pytest.mark.parametrize(
    "text, line, key",
    [
        ("[pool]\nidle_timeout = 5s\nno_such_key = 1\n", 3, "no_such_key"),
        ("[pool]\nidle_timeout = soon\n", 2, "pool.idle_timeout"),
        ("\n\n[ipc]\nmax_clients = -1\n", 4, "ipc.max_clients"),
        ("[ipc]\nmax_clients = 999999999999999999999\n", 2, "ipc.max_clients"),
        ("[ipc]\nmax_clients = 10\nmax_clients = 20\n", 3, "ipc.max_clients"),
        ("[nowhere]\nkey = 1\n", 1, "nowhere"),
        ("[daemon]\nlog_level = loud\n", 2, "daemon.log_level"),
        ("[job]\nmax_size = 1X\n", 2, "job.max_size"),
        ("[pool]\nthis is no INI line\n", 2, ""),
    ],
)
def test_bad_configuration_is_refused(tmp_path, text, line, key):
    config = tmp_path / "fetchd.conf"
    config.write_text(text, encoding="utf-8")
    for arguments in (("--check-config",), ("--socket", tmp_path / "socket")):
        done = fetchd("--config", config, *arguments)
        assert done.returncode not in (0, -6, -11)
        assert f"{config}:{line}:" in done.stderr and key in done.stderr, done.stderr
        assert not (tmp_path / "socket").exists()


def test_check_config(tmp_path):
    config = tmp_path / "fetchd.conf"
    write_config(config, {"pool.idle_timeout": "5s", "job.max_size": "2G"})
    assert fetchd("--config", config, "--check-config").returncode == 0
    assert fetchd("--config", tmp_path / "missing.conf", "--check-config").returncode != 0


def test_drop_ins_are_read_and_blamed(tmp_path):
    config = tmp_path / "fetchd.conf"
    write_config(config, {"pool.idle_timeout": "5s"})
    folder = tmp_path / "fetchd.conf.d"
    folder.mkdir()
    write_config(folder / "10-good.conf", {"pool.idle_timeout": "6s"})
    assert fetchd("--config", config, "--check-config").returncode == 0
    write_config(folder / "20-bad.conf", {"pool.wrong": "6s"})
    done = fetchd("--config", config, "--check-config")
    assert done.returncode != 0 and f"{folder / '20-bad.conf'}:2:" in done.stderr, done.stderr


def test_missing_ca_file(tmp_path):
    config = tmp_path / "fetchd.conf"
    write_config(config, {"tls.ca_file": tmp_path / "missing.pem"})
    done = fetchd("--config", config, "--socket", tmp_path / "socket")
    assert done.returncode == 3 and "missing.pem" in done.stderr
    done = fetchd("--config", config, "--check-config")
    assert done.returncode == 3 and "missing.pem" in done.stderr and not done.stdout


def test_second_daemon_on_the_same_socket(daemon, tmp_path):
    done = fetchd("--config", daemon.config, "--socket", daemon.path, "--state-dir", tmp_path)
    assert done.returncode not in (0, -6, -11) and str(daemon.path) in done.stderr
    with daemon.client() as client:
        client.ping()


def test_stale_socket_is_replaced(tmp_path, settings):
    folder = tmp_path / "stale"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / "fetchd.sock"))
    with Daemon(folder, settings) as daemon, daemon.client() as client:
        client.ping()


def test_reload(start_daemon, serve):
    """Counts for jobs to come; a running job goes on under the rules it began with."""
    gate = threading.Event()
    daemon = start_daemon({"job.max_size": "1M"})
    slow, server = serve(holding(gate)), serve(simple(body=b"x" * 1000))
    with daemon.client() as client:
        running = client.submit(slow.url())
        client.wait_received(running, 4)
        assert client.fetch(server.url()).reason == "ENDED"
        write_config(daemon.config, {**daemon.settings, "job.max_size": "1K", "ipc.max_jobs_per_client": "2"})
        write_config(daemon.config, {**daemon.settings, "job.max_size": "500"})
        daemon.signal(signal.SIGHUP)
        until(lambda: client.fetch(server.url()).reason == "MAXSIZE_EXCEEDED", "the new limit to count")
        gate.set()
        assert client.finish(running).reason == "ENDED"


def test_reload_of_a_bad_file_changes_nothing(start_daemon, serve):
    daemon = start_daemon({"job.max_size": "500"})
    server = serve(simple(body=b"x" * 1000))
    with daemon.client() as client:
        write_config(daemon.config, {**daemon.settings, "job.max_size": "1M", "job.wrong": "1"})
        daemon.signal(signal.SIGHUP)
        daemon.wait_log(r"fetchd\.conf:\d+: .*\bwrong\b")
        assert client.fetch(server.url()).reason == "MAXSIZE_EXCEEDED"
        write_config(daemon.config, {**daemon.settings, "job.max_size": "1M"})
        daemon.signal(signal.SIGHUP)
        until(lambda: client.fetch(server.url()).reason == "ENDED", "the mended file to count")


def test_reload_of_the_trusted_authorities(start_daemon, certificates, serve):
    """They count for connections made from then on."""
    daemon = start_daemon()
    server = serve(simple(body=b"x" * 1000))
    with daemon.client() as client:
        stranger = certificates.ca.parent / "stranger.pem"
        write_config(daemon.config, {**daemon.settings, "tls.ca_file": stranger, "job.max_size": "500"})
        daemon.signal(signal.SIGHUP)
        daemon.wait_log(r"configuration read again")
        assert client.fetch(server.url()).codes[0] == "TLS_CERT_UNTRUSTED"


def test_reload_keeps_what_the_hello_said(start_daemon, serve):
    """A client counts on the credit that it was told of."""
    daemon = start_daemon({"ipc.default_credit": "16K"})
    server = serve(simple(body=b"x" * 100_000))
    with daemon.client() as client:
        write_config(daemon.config, {**daemon.settings, "ipc.default_credit": "1M"})
        daemon.signal(signal.SIGHUP)
        daemon.wait_log(r"configuration read again")
        number = client.submit(server.url())
        client.wait_received(number, 16384)
        client.ping()
        assert client.received(number) == 16384
        assert client.finish(number).reason == "ENDED"
    with daemon.client() as client:
        assert client.hello.default_credit_bytes == 1 << 20


def test_term_drains(daemon, serve):
    """Running jobs finish, new ones are refused, then it ends by itself."""
    gate = threading.Event()
    server = serve(holding(gate))
    with daemon.client() as client:
        number = client.submit(server.url())
        client.wait_received(number, 4)
        daemon.signal(signal.SIGTERM)
        until(lambda: client.fetch("https://localhost:1/").codes == ["DRAINING"], "new jobs to be refused")
        gate.set()
        result = client.finish(number)
        assert result.reason == "ENDED" and result.body == b"halfhalf", result
        assert client.goodbye() == "SHUTDOWN"
    assert daemon.wait() == 0


def test_term_with_nothing_to_do(daemon):
    with daemon.client() as client:
        daemon.signal(signal.SIGTERM)
        assert client.goodbye() == "SHUTDOWN"
    assert daemon.wait() == 0


def test_second_term_stops_now_and_every_job_gets_its_closed(daemon, serve, origin):
    server = serve(holding(threading.Event()))
    with daemon.client() as client:
        running = client.submit(server.url())
        client.wait_received(running, 4)
        unread = client.submit(origin.url("/large"), initial_credit=1)
        client.wait_received(unread, 1)
        daemon.signal(signal.SIGTERM)
        until(lambda: client.fetch("https://localhost:1/").codes == ["DRAINING"], "new jobs to be refused")
        daemon.signal(signal.SIGTERM)
        for result in client.finish(running, unread, refill=False):
            assert result.reason == "SHUTDOWN" and result.codes[0] == "STOPPED", result
        assert client.goodbye() == "SHUTDOWN"
    assert daemon.wait() == 0


def test_drain_timeout(start_daemon, serve):
    daemon = start_daemon({"daemon.drain_timeout": "300ms"})
    with daemon.client() as client:
        number = client.submit(serve(holding(threading.Event())).url())
        client.wait_received(number, 4)
        daemon.signal(signal.SIGTERM)
        result = client.finish(number)
        assert result.reason == "SHUTDOWN", result
        assert client.goodbye() == "SHUTDOWN"
    assert daemon.wait() == 0


def test_stop_with_a_client_that_does_not_read(daemon, origin):
    with daemon.client(receive_buffer=4096) as sleeper:
        for _ in range(5):
            sleeper.submit(origin.url("/large"), initial_credit=sleeper.hello.max_credit_bytes)
        sleeper.read()
        stop_now(daemon)
        assert daemon.wait() == 0


def test_stop_while_connecting(daemon):
    with socket.socket() as listener, daemon.client() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = client.submit(f"https://localhost:{listener.getsockname()[1]}/")
        listener.accept()[0].close()
        second = client.submit(f"https://localhost:{listener.getsockname()[1]}/")
        client.wait(second, "accepted")
        stop_now(daemon)
        results = client.finish(number, second)
        assert all(result.reason in ("SHUTDOWN", "CONNECT_FAILED", "DENIED") for result in results), results
    assert daemon.wait() == 0


def test_int_is_like_term(daemon):
    daemon.signal(signal.SIGINT)
    assert daemon.wait() == 0


def test_instance_changes_with_a_restart(tmp_path, settings):
    seen = set()
    for _ in range(2):
        with Daemon(tmp_path / "again", settings) as daemon, daemon.client() as client:
            seen.add(client.hello.instance_id)
    assert len(seen) == 2


def test_socket_activation(tmp_path, settings):
    """The way systemd hands over a socket: descriptor 3, LISTEN_FDS, LISTEN_PID; READY and STOPPING are told."""
    folder = tmp_path / "activated"
    folder.mkdir()
    config = folder / "fetchd.conf"
    write_config(config, settings)
    path = folder / "given.sock"
    notifications = folder / "notify.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        listener.bind(str(path))
        listener.listen()
        notify.bind(str(notifications))
        notify.settimeout(PATIENCE)
        script = 'exec 3<&"$1"; export LISTEN_PID=$$; shift; exec "$@"'
        with open(folder / "log", "wb") as log:
            child = subprocess.Popen(  # pylint: disable=consider-using-with
                ["/bin/bash", "-c", script, "bash", str(listener.fileno()), str(FETCHD), "--config", str(config),
                 "--state-dir", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(listener.fileno(),),
                env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "fetchd", "NOTIFY_SOCKET": str(notifications)},
            )  # fmt: skip
        try:
            said = ""
            while "READY=1" not in said:
                said += notify.recv(4096).decode() + "\n"
            with Client(path) as client:
                assert client.ping().pid == child.pid
            child.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in said:
                said += notify.recv(4096).decode() + "\n"
            assert child.wait(PATIENCE) == 0, (folder / "log").read_text(encoding="utf-8")
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    assert path.exists(), "a socket that was given is not the daemon's to remove"


def test_log_is_one_line_an_event_without_control_characters(start_daemon):
    daemon = start_daemon(log_level="debug")
    with daemon.client(name="evil\n<3>forged\x1b[31m") as client:
        client.fetch("https://localhost/\r\n")
        client.ping()
    assert "\x1b" not in daemon.log() and "\n<3>forged" not in daemon.log()


def test_descriptor_limit_does_not_kill_it(tmp_path, settings, nghttpd):
    """With no descriptor left it neither ends nor spins; it serves again when there are some."""
    daemon = Daemon(tmp_path / "few", settings)
    daemon.command_without_limit = daemon.command
    daemon.command = lambda: ["/bin/sh", "-c", 'ulimit -n 48; exec "$@"', "sh", *daemon.command_without_limit()]
    with daemon:
        clients = []
        for _ in range(60):
            clients.append(Client(daemon.path, hello=False))
        for client in clients:
            client.close()

        def works():
            try:
                with daemon.client() as client:
                    return client.fetch(nghttpd.url("/one")).reason == "ENDED"
            except Gone:
                return False

        until(works, "the daemon to serve again")


def test_hello_of_a_draining_daemon(daemon, serve):
    gate = threading.Event()
    with daemon.client() as client:
        number = client.submit(serve(holding(gate)).url())
        client.wait_received(number, 4)
        daemon.signal(signal.SIGTERM)
        until(lambda: client.fetch("https://localhost:1/").codes == ["DRAINING"], "the drain")
        assert client.ask(ping=pb.Ping()).WhichOneof("msg") == "pong"
        gate.set()
        # It ends whether or not its client gives back credit, and what it said is there to be read.
        assert daemon.wait() == 0
        assert client.finish(number).reason == "ENDED"
