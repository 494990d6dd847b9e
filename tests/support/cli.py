# SPDX-License-Identifier: MIT
"""Runs fetchctl."""

import json
import subprocess

from support import process
from support.process import BUILD, PATIENCE

FETCHCTL = BUILD / "client" / "fetchctl"


def command(daemon, *arguments):
    return [str(part) for part in (FETCHCTL, "--socket", daemon.path, *arguments)]


class Outcome:
    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err.decode("utf-8", "replace")

    def json(self):
        """One JSON document a line."""
        return [json.loads(line) for line in self.out.decode().splitlines()]

    def __repr__(self):
        return f"<exit {self.status}, out {self.out[:2000]!r}, err {self.err[:2000]!r}>"


def run(daemon, *arguments, **options):
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(
        command(daemon, *arguments),
        capture_output=True,
        timeout=PATIENCE * 2,
        check=False,
        **options,
    )
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    assert "Sanitizer" not in outcome.err and "runtime error" not in outcome.err, outcome
    return outcome


def start(daemon, *arguments, **options):
    return process.start(command(daemon, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
