#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the installed units must do under a real systemd; run inside tests/systemd/sandbox.

    scenario.py STAGE

STAGE is a folder that `cmake --install` filled (DESTDIR). Its contents are laid over the root file
system, then every function marked @check runs in order, each from a state that it makes itself, and
prints one line: "ok NAME" or "not ok NAME: why". Exit status 1 if any was not ok.

Waiting is always for an event, by asking again until a deadline; nothing sleeps a fixed time.
"""

import contextlib
import ctypes
import errno
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

CHECKS = []
DEADLINE_S = 30
SOCKET = "/run/fetchd/fetchd.sock"
CONFIG = Path("/etc/fetchd/fetchd.conf")
CONFIG_DROPINS = Path("/etc/fetchd/fetchd.conf.d")
UNIT_DROPINS = Path("/run/systemd/system/fetchd.service.d")
WORK = Path("/tmp/scenario")
BODY = bytes(range(256)) * 2048


def check(function):
    CHECKS.append(function)
    return function


class Failed(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failed(text)


def run(*command, ok=True, **options):
    """Runs a command to its end; with ok=True a bad exit status is a failure of the check."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, **options)
    if ok:
        expect(done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}: {done.stderr or done.stdout}")
    return done


def wait_for(what, probe, seconds=DEADLINE_S):
    """Asks `probe` until it says something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        expect(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.02)


# -- systemd ------------------------------------------------------------------------------------


def show(name, unit="fetchd.service"):
    return run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()


def main_pid():
    return int(show("MainPID"))


def restarts():
    return int(show("NRestarts"))


def wait_state(state, unit="fetchd.service"):
    wait_for(f"{unit} {state}, it is {show('ActiveState', unit)}", lambda: show("ActiveState", unit) == state)


class Journal:
    """The lines about fetchd.service from now on: the daemon's and systemd's."""

    def __init__(self):
        self.since = run("journalctl", "--boot", "--lines=0", "--show-cursor").stdout.split("-- cursor: ")[1].strip()

    def text(self):
        run("journalctl", "--sync")
        return run(
            "journalctl", "--boot", "--unit=fetchd.service", f"--after-cursor={self.since}", "--output=cat"
        ).stdout

    def wait(self, *needles):
        def all_there():
            text = self.text()
            return all(needle in text for needle in needles)

        try:
            wait_for(f"{needles} in the journal", all_there)
        except Failed as failure:
            raise Failed(f"{failure}; there was: {self.text()[-1500:]}") from None


@contextlib.contextmanager
def unit_dropin(text):
    """Settings of the service for the length of a block."""
    path = UNIT_DROPINS / "90-scenario.conf"
    path.write_text(text)
    run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        path.unlink()
        run("systemctl", "daemon-reload")


@contextlib.contextmanager
def config_dropin(text):
    """Settings of the daemon for the length of a block. Who wants them read restarts or reloads."""
    path = CONFIG_DROPINS / "90-scenario.conf"
    path.write_text(text)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def fresh():
    """The socket listens, the service does not run, nothing is left of the check before."""
    run("systemctl", "stop", "fetchd.service", "fetchd.socket")
    run("systemctl", "reset-failed", "fetchd.service", "fetchd.socket", ok=False)
    run("systemctl", "start", "fetchd.socket")


def running():
    """A service that has just started; returns its main process."""
    fresh()
    run("systemctl", "start", "fetchd.service")
    return main_pid()


# -- client -------------------------------------------------------------------------------------


def ping(ok=True):
    return run("fetchctl", "ping", ok=ok)


def closed_of(output):
    """The Closed event among the JSON lines that fetchctl printed."""
    events = [json.loads(line) for line in output.splitlines() if line.strip()]
    closed = [event for event in events if event.get("event") == "closed"]
    expect(len(closed) == 1, f"wanted exactly one closed event, got {events}")
    return closed[0]


def get(url, ok=True):
    """Fetches, and returns (reason, bytes or None)."""
    target = WORK / "out"
    target.unlink(missing_ok=True)
    done = run("fetchctl", "get", "--json", "-o", str(target), url, ok=False)
    reason = closed_of(done.stdout)["reason"]
    if ok:
        expect(reason == "ENDED" and done.returncode == 0, f"get: exit {done.returncode}: {done.stdout} {done.stderr}")
    return reason, target.read_bytes() if target.exists() else None


def expect_fetch_works():
    expect(get(ORIGIN_URL)[1] == BODY, "the body is not what the origin has")


# -- origins ------------------------------------------------------------------------------------

ORIGIN_PORT = 4433
ORIGIN_URL = f"https://localhost:{ORIGIN_PORT}/body"


def make_certificates():
    def template(name, text):
        (WORK / name).write_text(text)
        return str(WORK / name)

    for name in ("ca", "server"):
        run("certtool", "--generate-privkey", "--key-type=ecdsa", "--outfile", str(WORK / f"{name}.key"))
    run(
        "certtool", "--generate-self-signed", "--load-privkey", str(WORK / "ca.key"), "--outfile", str(WORK / "ca.pem"),
        "--template", template("ca.cfg", "cn = scenario CA\nca\ncert_signing_key\nexpiration_days = 2\n"),
    )  # fmt: skip
    run(
        "certtool", "--generate-certificate", "--load-privkey", str(WORK / "server.key"),
        "--load-ca-certificate", str(WORK / "ca.pem"), "--load-ca-privkey", str(WORK / "ca.key"),
        "--outfile", str(WORK / "server.pem"),
        "--template", template("server.cfg", "cn = localhost\ndns_name = localhost\ntls_www_server\nexpiration_days = 2\n"),
    )  # fmt: skip


def start_origin():
    (WORK / "htdocs").mkdir()
    (WORK / "htdocs/body").write_bytes(BODY)
    run(
        "systemd-run", "--unit=origin", "--service-type=exec", "nghttpd", "--htdocs", str(WORK / "htdocs"),
        str(ORIGIN_PORT), str(WORK / "server.key"), str(WORK / "server.pem"),
    )  # fmt: skip

    def listens():
        with contextlib.closing(socket.socket(socket.AF_INET)) as probe:
            return probe.connect_ex(("127.0.0.1", ORIGIN_PORT)) == 0

    wait_for("nghttpd listens", listens)


class PatientOrigin(threading.Thread):
    """Speaks just enough HTTP/2 to take a request and not to answer it until told to: release()
    answers every waiting request with an empty 200."""

    SETTINGS, HEADERS, PING, ACK, END_STREAM_AND_HEADERS = 4, 1, 6, 1, 5
    STATUS_200 = b"\x88"  # the static HPACK table's entry

    def __init__(self):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(WORK / "server.pem", WORK / "server.key")
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.listener.getsockname()[1]}/"
        self.waiting = []
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Wakes the thread that sits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        with contextlib.suppress(OSError, EOFError):
            with self.context.wrap_socket(plain, server_side=True) as peer:
                self.read_exactly(peer, 24)  # the connection preface
                self.send(peer, self.SETTINGS)
                while True:
                    head = self.read_exactly(peer, 9)
                    kind, flags, stream = struct.unpack("!BBI", head[3:])
                    payload = self.read_exactly(peer, int.from_bytes(head[:3], "big"))
                    if kind in (self.SETTINGS, self.PING) and not flags & self.ACK:
                        self.send(peer, kind, self.ACK, 0, payload if kind == self.PING else b"")
                    elif kind == self.HEADERS:
                        self.waiting.append((peer, stream))

    @staticmethod
    def read_exactly(peer, count):
        data = b""
        while len(data) < count:
            more = peer.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    @staticmethod
    def send(peer, kind, flags=0, stream=0, payload=b""):
        peer.sendall(len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload)

    def wait_requests(self, count):
        wait_for(f"{count} requests at the patient origin", lambda: len(self.waiting) >= count)

    def release(self):
        for peer, stream in self.waiting:
            self.send(peer, self.HEADERS, self.END_STREAM_AND_HEADERS, stream, self.STATUS_200)


@contextlib.contextmanager
def open_jobs(origin, count, as_user=()):
    """That many fetchctl processes, each with a job that the origin has and does not answer."""
    jobs = [
        subprocess.Popen(
            [*as_user, "fetchctl", "get", "--json", "-o", str(WORK / f"job{i}"), origin.url],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for i in range(count)
    ]  # fmt: skip
    try:
        origin.wait_requests(count)
        yield jobs
    finally:
        for job in jobs:
            job.kill()
            job.communicate()


def reasons(jobs):
    """Every job's close reason; each process must end by itself with exactly one Closed."""
    answers = []
    for job in jobs:
        try:
            output, _ = job.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise Failed("fetchctl did not end") from None
        answers.append((closed_of(output)["reason"], job.returncode))
    return answers


# -- the machine --------------------------------------------------------------------------------


def prepare(stage):
    WORK.mkdir()
    WORK.chmod(0o1777)
    # The folders in it, not the stage itself: / would take over its mode.
    run("cp", "--archive", *[str(path) for path in Path(stage).iterdir()], "/")
    # A foreign prefix is made to work the way docs/operations.md says: links into /etc.
    for folder, pattern in (("systemd/system", "fetchd.*"), ("systemd/user", "fetchd.*"), ("sysusers.d", "fetchd.conf"),
                            ("tmpfiles.d", "fetchd.conf")):  # fmt: skip
        found = [path for path in Path(stage).rglob(f"lib/{folder}/{pattern}")]
        expect(found, f"nothing was installed in lib/{folder}")
        for path in found:
            installed = Path("/") / path.relative_to(stage)
            if installed.parts[1:3] not in (("usr", "lib"), ("usr", "local")):
                os.makedirs(f"/etc/{folder}", exist_ok=True)
                os.symlink(installed, f"/etc/{folder}/{installed.name}")
    for program in Path(stage).rglob("fetch*"):
        if program.parent.name in ("bin", "sbin") and shutil.which(program.name) is None:
            os.symlink(Path("/") / program.relative_to(stage), f"/usr/bin/{program.name}")
    run("ldconfig")
    run("systemd-sysusers")
    run("systemd-tmpfiles", "--create", "fetchd.conf")
    make_certificates()
    shutil.copy(WORK / "ca.pem", "/etc/fetchd/ca.pem")
    CONFIG.unlink(missing_ok=True)
    (CONFIG_DROPINS / "10-origin.conf").write_text("[tls]\nca_file = /etc/fetchd/ca.pem\n")
    UNIT_DROPINS.mkdir(parents=True)
    if os.environ.get("FETCHD_SANITIZE"):
        # LeakSanitizer looks at its own process through ptrace(), which the filter forbids.
        for folder in (UNIT_DROPINS, Path("/run/systemd/user/fetchd.service.d")):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "10-sanitizers.conf").write_text("[Service]\nSystemCallFilter=ptrace\n")
    run("systemctl", "daemon-reload")
    start_origin()


# -- checks: the files --------------------------------------------------------------------------


def expect_silent(*command, **environment):
    # systemd-analyze exits with 0 on settings it does not know: what it says counts.
    done = run(*command, ok=False, env={**os.environ, **environment})
    expect(done.returncode == 0 and not done.stderr, f"exit {done.returncode}: {done.stderr}")


def unit_path(folder, name):
    for base in ("/etc", "/usr/local/lib", "/usr/lib"):
        if os.path.exists(f"{base}/systemd/{folder}/{name}"):
            return f"{base}/systemd/{folder}/{name}"
    raise Failed(f"{name} is not installed for {folder}")


def has_man_pages():
    """Documentation= is only checked if this build has man pages and the machine can find them."""
    return "yes" if run("man", "--where", "8", "fetchd", ok=False).returncode == 0 else "no"


@check
def system_units_verify():
    for name in ("fetchd.socket", "fetchd.service"):
        expect_silent("systemd-analyze", f"--man={has_man_pages()}", "verify", unit_path("system", name))


@check
def user_units_verify():
    runtime = WORK / "runtime"
    runtime.mkdir(mode=0o700)
    for name in ("fetchd.socket", "fetchd.service"):
        expect_silent(
            "systemd-analyze", "--user", f"--man={has_man_pages()}", "verify", unit_path("user", name),
            XDG_RUNTIME_DIR=str(runtime),
        )  # fmt: skip


@check
def exposure_is_below_two():
    run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit_path("system", "fetchd.service"))


@check
def sysusers_makes_user_and_group():
    user = pwd.getpwnam("fetchd")
    expect(user.pw_shell.endswith("nologin"), f"fetchd can log in: {user.pw_shell}")
    expect(user.pw_uid < 1000, f"uid {user.pw_uid} is no system user's")
    # A second run finds nothing to do.
    again = run("systemd-sysusers", "--dry-run")
    expect("fetchd" not in again.stdout + again.stderr, again.stdout + again.stderr)


@check
def tmpfiles_makes_folders_of_root():
    for path in ("/run/fetchd", str(CONFIG.parent), str(CONFIG_DROPINS)):
        entry = os.stat(path)
        expect((entry.st_uid, entry.st_gid, entry.st_mode & 0o7777) == (0, 0, 0o755), f"{path}: {entry}")


@check
def printed_default_configuration_is_valid():
    examples = list(Path(sys.argv[1]).rglob("examples/fetchd.conf"))
    expect(len(examples) == 1, f"installed: {examples}")
    run("fetchd", "--check-config", "--config", str(examples[0]))


# -- checks: start ------------------------------------------------------------------------------


@check
def first_connection_starts_the_daemon():
    fresh()
    expect(show("ActiveState") == "inactive", "the service runs before anyone connected")
    entry = os.stat(SOCKET)
    ping()
    expect(show("ActiveState") == "active", "ping was answered but the service is not active")
    expect(os.stat(SOCKET).st_ino == entry.st_ino, "the daemon replaced systemd's socket")


@check
def ready_comes_with_a_status():
    running()
    expect(show("Type") == "notify", "not Type=notify")
    expect((show("ActiveState"), show("SubState")) == ("active", "running"), "not running")
    expect(show("StatusText") != "", "no STATUS= was sent")


@check
def socket_is_for_root_and_the_group():
    running()
    entry = os.stat(SOCKET)
    group = pwd.getpwnam("fetchd").pw_gid
    expect((entry.st_uid, entry.st_gid, entry.st_mode & 0o777) == (0, group, 0o660), f"{entry}")
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup")
    run(*as_nobody, "--groups=fetchd", "fetchctl", "ping")
    refused = run(*as_nobody, "--clear-groups", "fetchctl", "ping", ok=False)
    expect(refused.returncode != 0, "somebody outside the group was served")


@check
def broken_configuration_does_not_start():
    fresh()
    with config_dropin("[pool]\nno_such_key = 1\n") as path:
        journal = Journal()
        expect(run("systemctl", "start", "fetchd.service", ok=False).returncode != 0, "it started all the same")
        journal.wait(str(path) + ":2", "no_such_key")
    fresh()
    ping()


# -- checks: the sandbox ------------------------------------------------------------------------


def in_mount_namespace(pid, action):
    """What `action` returns (an errno, 0 for success) where the files are as the daemon sees them."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        status = 255
        with contextlib.suppress(Exception):
            if libc.setns(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY), 0x00020000) == 0:
                status = action()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def write_attempt(folder):
    def attempt():
        path = f"{folder}/scenario"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
            os.unlink(path)
        except OSError as error:
            return error.errno
        return 0

    return attempt


@check
def fetch_works_in_the_sandbox():
    running()
    expect_fetch_works()


@check
def daemon_runs_without_rights():
    pid = running()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    uid = str(pwd.getpwnam("fetchd").pw_uid)
    expect(status["Uid"].split() == [uid] * 4, f"Uid {status['Uid']}")
    expect(status["NoNewPrivs"] == "1", "NoNewPrivs is off")
    expect(status["Seccomp"] == "2", "no system call filter")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        expect(int(status[name], 16) == 0, f"{name} {status[name]}")


@check
def clients_are_known_by_their_user():
    running()
    user = pwd.getpwnam("daemon")
    as_user = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--groups=fetchd")
    with PatientOrigin() as origin, open_jobs(origin, 1, as_user):
        jobs = json.loads(run(*as_user, "fetchctl", "list", "--json").stdout.splitlines()[0])
        expect(f'"uid": {user.pw_uid},' in json.dumps(jobs), f"no job of uid {user.pw_uid}: {jobs}")


@check
def files_are_read_only_but_the_state():
    pid = running()
    for folder in ("/etc", "/etc/fetchd", "/usr", "/run/fetchd", "/var/cache"):
        answer = in_mount_namespace(pid, write_attempt(folder))
        expect(answer == errno.EROFS, f"writing to {folder}: {os.strerror(answer) if answer else 'worked'}")
    answer = in_mount_namespace(pid, write_attempt("/var/lib/fetchd"))
    expect(answer == 0, f"writing to the state directory: {os.strerror(answer)}")
    expect(in_mount_namespace(pid, lambda: int(any(os.scandir("/home")) or any(os.scandir("/root")))) == 0, "homes are seen")


@check
def written_files_cannot_be_executed():
    pid = running()

    def execute(folder):
        def attempt():
            path = f"{folder}/true"
            shutil.copy("/usr/bin/true", path)
            try:
                os.execv(path, ["true"])
            except OSError as error:
                return error.errno

        return attempt

    for folder in ("/var/lib/fetchd", "/tmp", "/var/tmp"):
        answer = in_mount_namespace(pid, execute(folder))
        expect(answer == errno.EACCES, f"running a program in {folder}: {answer}")


# -- checks: trouble ----------------------------------------------------------------------------


@check
def watchdog_is_fed():
    fresh()
    with unit_dropin("[Service]\nWatchdogSec=2\n"):
        run("systemctl", "start", "fetchd.service")
        expect(show("WatchdogUSec") == "2s", "the drop-in is not in force")
        pid, before = main_pid(), int(show("WatchdogTimestampMonotonic"))
        # Longer than one period, counted on systemd's own clock.
        wait_for("signs of life", lambda: int(show("WatchdogTimestampMonotonic")) > before + 2_500_000)
        expect(main_pid() == pid, "it was restarted although it was well")


@check
def watchdog_restarts_a_hung_daemon():
    fresh()
    with unit_dropin("[Service]\nWatchdogSec=2\n"):
        run("systemctl", "start", "fetchd.service")
        journal, pid, before = Journal(), main_pid(), restarts()
        os.kill(pid, signal.SIGSTOP)
        wait_for("a restart", lambda: restarts() > before)
        wait_state("active")
        expect(main_pid() not in (0, pid), "no new process")
        journal.wait("Watchdog timeout", "status=6/ABRT")
        expect_fetch_works()


@check
def killed_daemon_is_restarted():
    pid = running()
    socket_inode, before = os.stat(SOCKET).st_ino, restarts()
    os.kill(pid, signal.SIGKILL)
    # Without waiting for anything: the connection waits in the socket until the daemon is back.
    expect_fetch_works()
    expect(main_pid() not in (0, pid), "no new process")
    expect(restarts() == before + 1, f"{restarts() - before} restarts")
    expect(os.stat(SOCKET).st_ino == socket_inode, "not the same socket")


# -- checks: reload -----------------------------------------------------------------------------


@check
def reload_takes_effect():
    pid = running()
    expect_fetch_works()
    with config_dropin("[job]\nmax_size = 1K\n"):
        run("systemctl", "reload", "fetchd.service")
        wait_for("the new limit", lambda: get(ORIGIN_URL, ok=False)[0] == "MAXSIZE_EXCEEDED")
    run("systemctl", "reload", "fetchd.service")
    wait_for("the old limit", lambda: get(ORIGIN_URL, ok=False)[0] == "ENDED")
    wait_state("active")
    expect(main_pid() == pid, "the daemon was restarted")


@check
def reload_keeps_open_jobs():
    running()
    with PatientOrigin() as origin, open_jobs(origin, 2) as jobs:
        journal = Journal()
        with config_dropin("[daemon]\nlog_level = debug\n"):
            run("systemctl", "reload", "fetchd.service")
            journal.wait("configuration read again")
            ping()
            origin.release()
            answers = reasons(jobs)
        expect(answers == [("ENDED", 0)] * 2, f"{answers}")


@check
def reload_of_a_broken_configuration_is_refused():
    pid = running()
    journal = Journal()
    with config_dropin("[job]\nmax_size = 1K\nno_such_key = 1\n") as path:
        expect(run("systemctl", "reload", "fetchd.service", ok=False).returncode != 0, "systemctl reload said nothing")
        journal.wait(f"{path}:3", "no_such_key")
        wait_state("active")
        expect(main_pid() == pid, "the daemon was restarted")
        expect_fetch_works()


@check
def hangup_with_a_broken_configuration_keeps_the_old():
    pid = running()
    journal = Journal()
    with config_dropin("[job]\nmax_size = 1K\nno_such_key = 1\n") as path:
        os.kill(pid, signal.SIGHUP)
        journal.wait(f"{path}:3", "no_such_key")
        wait_state("active")
        expect(main_pid() == pid, "the daemon was restarted")
        expect_fetch_works()


# -- checks: stop -------------------------------------------------------------------------------


def is_draining():
    return "drain" in show("StatusText").lower()


def expect_clean_end():
    wait_state("inactive")
    expect(show("Result") == "success", f"Result={show('Result')}")
    expect((show("ExecMainCode"), show("ExecMainStatus")) == ("1", "0"), "the exit status is not 0")


@check
def stop_without_jobs_is_clean():
    running()
    run("systemctl", "stop", "fetchd.service")
    expect_clean_end()
    expect(show("ActiveState", "fetchd.socket") == "active" and os.path.exists(SOCKET), "the socket went with the service")
    ping()


@check
def stop_waits_for_open_jobs():
    running()
    with PatientOrigin() as origin, open_jobs(origin, 2) as jobs:
        run("systemctl", "stop", "--no-block", "fetchd.service")
        wait_state("deactivating")
        origin.release()
        answers = reasons(jobs)
        expect(answers == [("ENDED", 0)] * 2, f"{answers}")
        expect_clean_end()


@check
def restart_lets_new_clients_wait():
    pid = running()
    with PatientOrigin() as origin, open_jobs(origin, 1) as jobs:
        run("systemctl", "restart", "--no-block", "fetchd.service")
        wait_for("the drain", is_draining)
        # The old daemon takes no more clients; this one is served by the next.
        early = subprocess.Popen(["fetchctl", "ping", "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            origin.release()
            expect(reasons(jobs) == [("ENDED", 0)], "the open job did not end well")
            output, _ = early.communicate(timeout=DEADLINE_S)
        finally:
            early.kill()
            early.wait()
        expect(early.returncode == 0, f"ping: exit {early.returncode}")
        wait_state("active")
        expect(main_pid() not in (0, pid), "no new process")
        expect(json.loads(output)["pid"] == main_pid(), f"answered by somebody else: {output}")


@check
def stop_closes_jobs_after_the_drain_timeout():
    fresh()
    with config_dropin("[daemon]\ndrain_timeout = 1s\n"), PatientOrigin() as origin:
        with open_jobs(origin, 3) as jobs:
            run("systemctl", "stop", "fetchd.service")
            answers = reasons(jobs)
            expect(all(reason == "SHUTDOWN" and status != 0 for reason, status in answers), f"{answers}")
            expect_clean_end()


@check
def second_termination_stops_at_once():
    pid = running()
    with PatientOrigin() as origin, open_jobs(origin, 2) as jobs:
        run("systemctl", "stop", "--no-block", "fetchd.service")
        wait_state("deactivating")
        # The first signal is seen to have arrived; two at once would be one.
        wait_for("the drain", is_draining)
        os.kill(pid, signal.SIGTERM)
        # The drain alone would last 30 seconds, as long as these wait for; the limit here is that.
        answers = reasons(jobs)
        expect(all(reason == "SHUTDOWN" and status != 0 for reason, status in answers), f"{answers}")
        expect_clean_end()


@check
def stopping_the_socket_removes_it():
    running()
    run("systemctl", "stop", "fetchd.socket", "fetchd.service")
    expect(not os.path.exists(SOCKET), "the socket is still there")
    expect(ping(ok=False).returncode != 0, "somebody answered")
    run("systemctl", "start", "fetchd.socket")
    ping()


# -- checks: per-user ---------------------------------------------------------------------------


@check
def per_user_daemon_serves_its_user():
    run("useradd", "--create-home", "--shell=/bin/bash", "walker")
    user = pwd.getpwnam("walker")
    run("systemctl", "start", f"user@{user.pw_uid}.service")
    runtime = f"/run/user/{user.pw_uid}"

    def as_user(*command, ok=True):
        # No FETCHD_SOCKET: the client must find the person's own socket before the system's.
        return run(
            "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "env", "-i",
            f"HOME={user.pw_dir}", f"PATH={os.environ['PATH']}", f"XDG_RUNTIME_DIR={runtime}", *command, ok=ok,
        )  # fmt: skip

    as_user("systemctl", "--user", "start", "fetchd.socket")
    entry = os.stat(f"{runtime}/fetchd/fetchd.sock")
    expect((entry.st_uid, entry.st_mode & 0o777) == (user.pw_uid, 0o600), f"{entry}")
    as_user("fetchctl", "ping")
    pid = int(as_user("systemctl", "--user", "show", "--property=MainPID", "--value", "fetchd.service").stdout)
    expect(pid != 0, "the user's service does not run")
    expect(os.stat(f"/proc/{pid}").st_uid == user.pw_uid, "it runs as somebody else")
    as_user("systemctl", "--user", "stop", "fetchd.service")
    expect(
        as_user("systemctl", "--user", "show", "--property=Result", "--value", "fetchd.service").stdout.strip() == "success",
        "the user's service did not end well",
    )


def main():
    prepare(sys.argv[1])
    bad = 0
    for function in CHECKS:
        try:
            function()
        except Exception as error:  # whatever it is, the other checks still run
            bad += 1
            text = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            print(f"not ok {function.__name__}: {' | '.join(text.split(chr(10)))}", flush=True)
        else:
            print(f"ok {function.__name__}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
