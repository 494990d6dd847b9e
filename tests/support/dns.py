# SPDX-License-Identifier: MIT
"""A name server of the tests' own, on a port of its own. Names outside .test are refused: nothing leaves the machine."""

import os
import signal
import subprocess

from support import process

RECORDS = (
    "--host-record=good.test,127.0.0.1",
    "--host-record=other.test,127.0.0.1",
    "--host-record=dual.test,127.0.0.1,::1",
    "--host-record=v4.test,127.0.0.1",
    "--host-record=v6.test,::1",
    # The first addresses answer nothing or refuse; the last one works.
    "--host-record=many.test,127.0.0.2",
    "--host-record=many.test,127.0.0.1",
    "--host-record=xn--bcher-kva.test,127.0.0.1",
    # A name without addresses.
    "--txt-record=empty.test,nothing here",
)


class NameServer:
    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = process.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        self.log_path = folder / "dnsmasq.log"
        self.hosts = folder / "hosts"
        self.hosts.touch()

    def __enter__(self):
        log = open(self.log_path, "wb")  # pylint: disable=consider-using-with
        arguments = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            f"--port={self.port}",
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            "--no-resolv",
            "--no-hosts",
            "--local=/test/",
            f"--pid-file={self.folder / 'dnsmasq.pid'}",
            "--log-facility=-",
            "--log-queries",
            f"--addn-hosts={self.hosts}",
            *RECORDS,
        ]
        if os.geteuid() == 0:
            arguments += ["--user=root", "--group=root"]
        self.process = process.start(arguments, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        process.until(lambda: process.accepts(self.port), "dnsmasq to answer")
        return self

    def __exit__(self, *_):
        process.stop(self.process)

    def add(self, name, address):
        """One more name, at once."""
        reads = self.log().count(f"read {self.hosts}")
        with open(self.hosts, "a", encoding="ascii") as hosts:
            hosts.write(f"{address} {name}\n")
        self.process.send_signal(signal.SIGHUP)
        process.until(lambda: self.log().count(f"read {self.hosts}") > reads, "dnsmasq to read its hosts again")

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")
