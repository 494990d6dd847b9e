# SPDX-License-Identifier: MIT
"""Child processes that end with their test, waiting for conditions, and free ports."""

import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FETCHD_BUILD_DIR", ROOT / "build-ci"))
SANITIZED = "FETCHD_SANITIZE:STRING=address" in (BUILD / "CMakeCache.txt").read_text(encoding="utf-8")
# How long anything may take before it counts as hung. A guard, never a measurement: no test passes or fails by it
# unless something is stuck.
PATIENCE = float(os.environ.get("FETCHD_TEST_PATIENCE", 120 if SANITIZED else 60))

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Somebody's background job is started with this ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(arguments, **options):
    """Starts a child that the kernel ends if this process dies first."""
    return subprocess.Popen(
        [str(argument) for argument in arguments],
        stdin=options.pop("stdin", subprocess.DEVNULL),
        preexec_fn=_die_with_parent,
        **options,
    )


def stop(process, number=signal.SIGTERM):
    """Ends a child and collects it; returns its exit status."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def until(condition, what, patience=PATIENCE):
    """Asks until the condition gives something true, and returns that. For what gives no event to wait for."""
    pause = threading.Event()
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:.0f} s in vain: {what}")
        pause.wait(0.01)


def free_port(host="127.0.0.1", kind=socket.SOCK_STREAM):
    """A port nobody listens on now. For servers that cannot say which one they were given."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def _has_ipv6():
    try:
        free_port("::1")
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="there is no IPv6 loopback address here")


def accepts(port, host="127.0.0.1"):
    """Does somebody listen there?"""
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
