# SPDX-License-Identifier: MIT
"""The real fetchd, started with a configuration, a socket and a log of its own, and held to account at its end."""

import os
import pathlib
import re
import signal
import subprocess

from support import process
from support.process import BUILD, PATIENCE, SANITIZED
from support.protocol import Client, connectable

FETCHD = BUILD / "daemon" / "fetchd"
SANITIZER_REPORT = re.compile(r"(AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:)")


def write_config(path: pathlib.Path, settings):
    """Writes {"pool.idle_timeout": "5 s", ...} as an INI file."""
    sections = {}
    for key, value in settings.items():
        section, name = key.split(".", 1)
        sections.setdefault(section, []).append(f"{name} = {value}")
    text = "".join(f"[{section}]\n" + "\n".join(lines) + "\n\n" for section, lines in sections.items())
    path.write_text(text, encoding="utf-8")


class Daemon:
    """`with Daemon(folder, settings) as daemon:` runs one; leaving the block stops it and checks that it was clean."""

    def __init__(self, folder: pathlib.Path, settings=None, log_level="info", arguments=()):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = dict(settings or {})
        self.config = folder / "fetchd.conf"
        self.path = folder / "fetchd.sock"
        self.log_path = folder / "fetchd.log"
        self.log_level = os.environ.get("FETCHD_TEST_LOG_LEVEL", log_level)
        self.arguments = arguments
        self.process = None
        self.idle_fds = 0
        self.idle_rss = 0
        (folder / "state").mkdir(exist_ok=True)
        write_config(self.config, self.settings)

    def command(self):
        return [
            FETCHD,
            "--config", self.config,
            "--socket", self.path,
            "--state-dir", self.folder / "state",
            "--log-level", self.log_level,
            *self.arguments,
        ]  # fmt: skip

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = process.start(self.command(), stdout=log, stderr=log)
        process.until(
            lambda: connectable(self.path) or self.process.poll() is not None, "the daemon's socket to answer"
        )
        assert self.process.poll() is None, f"fetchd ended with {self.process.returncode}:\n{self.log()}"
        with self.client() as client:
            client.stats()
            self.idle_fds = self.fds()
            self.idle_rss = self.memory("VmRSS")
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None:
            process.stop(self.process, signal.SIGKILL)
            print(f"---- log of {self.folder.name}\n{self.log()[-8000:]}")
            return
        try:
            if self.process.poll() is None:
                self.assert_idle()
            self.finish()
        except BaseException:
            process.stop(self.process, signal.SIGKILL)
            print(f"---- log of {self.folder.name}\n{self.log()[-8000:]}")
            raise

    # -- looking at it

    def client(self, **options):
        return Client(self.path, **options)

    def stats(self):
        with self.client() as client:
            return client.stats()

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self, field):
        """VmRSS (now) or VmHWM (the most it ever was), in bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field + ":"))

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"fetchd does not end:\n{self.log()[-4000:]}") from error

    def wait_log(self, pattern):
        return process.until(lambda: re.search(pattern, self.log()), f"{pattern!r} in the log")

    # -- the account

    def assert_idle(self):
        """With every client gone: no job, no stream, no buffered byte, and no descriptor but those it began with and its
        pooled connections."""
        last = []

        def settled():
            with self.client() as client:
                stats = client.stats()
                fds = self.fds()
            jobs = stats.jobs
            last[:] = [stats, fds]
            return (
                stats.clients == 1
                and not (jobs.queued or jobs.sent or jobs.receiving or jobs.delivering or jobs.backoff)
                and not stats.pool.streams
                and not stats.pool.waiting
                and not stats.buffered_bytes
                and fds - stats.pool.connections - stats.pool.connecting == self.idle_fds
            )

        try:
            process.until(settled, "the daemon to be idle", patience=20 if not SANITIZED else 60)
        except AssertionError as error:
            links = []
            for fd in sorted(os.listdir(f"/proc/{self.process.pid}/fd"), key=int):
                try:
                    links.append(fd + ":" + os.readlink(f"/proc/{self.process.pid}/fd/{fd}"))
                except OSError:
                    continue
            raise AssertionError(
                f"something is left: {last[1]} descriptors, {self.idle_fds} when idle: {links}\n{last[0]}"
            ) from error

    def finish(self, status=0):
        """Asks it to stop, once, and checks how it went."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        ended = self.wait()
        log = self.log()
        assert not SANITIZER_REPORT.search(log), log[-8000:]
        assert ended == status, f"fetchd ended with {ended}:\n{log[-8000:]}"
        assert not self.path.exists(), "the socket was left behind"
