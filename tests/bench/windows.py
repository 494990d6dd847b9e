#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the size of the windows does to one large body, on loopback and over a long way.

    FETCHD_BUILD_DIR=build tests/bench/windows.py [--build NAME=DIRECTORY ...] [--rounds 3] [--mib 1024] [--one-way-us 10500]

A build needs fetchd; fetchctl and delay_relay (target `bench`) are the first one's. The body is thrown away by fetchctl.
Each round runs every case once, so that they meet the same machine; the figures are medians, rates in MB/s, CPU in
seconds per GB of daemon and client together, and the most that was buffered in the daemon.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certs, daemon, origins, process

MIB = 1 << 20


def fixed(size, connection):
    """A window that never changes."""
    return {
        "http.stream_window": size,
        "http.max_stream_window": size,
        "http.connection_window": connection,
        "http.max_connection_window": connection,
    }


def cases(builds):
    for name, build in builds.items():
        for first in ("128K", "256K", "512K"):
            yield f"{name}, adaptive from {first}", build, {"http.stream_window": first}
        yield f"{name}, fixed at 512K", build, fixed("512K", "16M")
        yield f"{name}, fixed at 64M", build, fixed("64M", "128M")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fetch(running, url, size):
    """(MB/s, CPU s/GB, MiB)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = cpu_seconds(running.process.pid)
    start = time.monotonic()
    client = process.start([fetchctl(), "--socket", running.path, "get", "--max-size", "0", "-o", "/dev/null", url])
    peak = 0
    with running.client() as watcher:
        while True:
            try:
                client.wait(0.02)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, watcher.stats().buffered_bytes)
    seconds = time.monotonic() - start
    assert client.returncode == 0, client.returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = cpu_seconds(running.process.pid) - own
    used += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return size / seconds / 1e6, used / (size / 1e9), peak / MIB


def fetchctl():
    return FIRST / "client" / "fetchctl"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="append", default=[], help="NAME=DIRECTORY")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--one-way-us", type=int, default=10500)
    parser.add_argument("--only", default="", help="only cases with this in their name")
    arguments = parser.parse_args()
    builds = dict(build.split("=", 1) for build in arguments.build) or {"this": str(process.BUILD)}
    builds = {name: pathlib.Path(path) for name, path in builds.items()}
    global FIRST
    FIRST = next(iter(builds.values()))
    figures = {}
    with tempfile.TemporaryDirectory(prefix="fetchd-bench-", dir="/dev/shm") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        authority = certs.Authority(folder, "ca")
        documents = origins.Documents.__new__(origins.Documents)
        documents.folder = folder / "documents"
        documents.folder.mkdir(mode=0o755)
        size = arguments.mib * MIB
        with open(documents.folder / "body", "wb") as body:
            body.truncate(size)
        with origins.H2o(folder / "h2o", authority.issue("server"), documents) as origin:
            port = process.free_port()
            relay = process.start(
                [FIRST / "tests" / "bench" / "delay_relay", port, origin.port, arguments.one_way_us],
                stdin=subprocess.PIPE,
            )
            process.until(lambda: process.accepts(port), "the relay to listen")
            ways = {"loopback": origin.port, f"{2 * arguments.one_way_us / 1000:g} ms": port}
            for _ in range(arguments.rounds):
                for name, build, settings in cases(builds):
                    if arguments.only not in name:
                        continue
                    known = (build / "daemon" / "fetchd").read_bytes()
                    if "adaptive" in name and b"max_stream_window" not in known:
                        continue  # a build from before there was any
                    settings = {key: value for key, value in settings.items() if key.split(".")[1].encode() in known}
                    settings["tls.ca_file"] = authority.pair.certificate
                    daemon.FETCHD = build / "daemon" / "fetchd"
                    running = daemon.Daemon(folder / "daemon", settings, log_level="warning")
                    running.start()
                    for way, at in ways.items():
                        if "fixed at 512K" in name and way != "loopback":
                            continue  # a window for each round trip: there is nothing to measure
                        result = fetch(running, f"https://localhost:{at}/body", size)
                        figures.setdefault((name, way), []).append(result)
                    process.stop(running.process)
            process.stop(relay)
    print(f"{'':40} {'way':>9} {'MB/s':>7} {'CPU s/GB':>9} {'MiB held':>9}")
    for (name, way), results in figures.items():
        rate, cpu, held = (statistics.median(column) for column in zip(*results))
        print(f"{name:40} {way:>9} {rate:7.0f} {cpu:9.2f} {held:9.1f}")


if __name__ == "__main__":
    main()
