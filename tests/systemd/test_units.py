# SPDX-License-Identifier: MIT
"""The installed units under a real systemd. One boot of the sandbox runs every check of scenario.py; here
each is a test of its own. FETCHD_BUILD_DIR names the build folder (default: build).

Without root or namespaces the tests are skipped, unless FETCHD_REQUIRE_SANDBOX is set: then they fail,
so that a test run that must have them cannot lose them silently."""

import os
import subprocess
from pathlib import Path

import pytest

import scenario

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
SKIPPED = 77
TIME_LIMIT_S = 300


def sanitizers(build):
    """What the build was configured with, "" for nothing."""
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("FETCHD_SANITIZE:"):
            return line.partition("=")[2]
    return ""


def in_sandbox(*arguments, **options):
    """Runs the sandbox; where that is not possible, skips or fails what needs it."""
    done = subprocess.run(
        [HERE / "sandbox", *arguments], capture_output=True, text=True, timeout=TIME_LIMIT_S + 60, **options
    )
    if done.returncode == SKIPPED:
        if os.environ.get("FETCHD_REQUIRE_SANDBOX"):
            pytest.fail(done.stderr)
        pytest.skip(done.stderr.strip())
    return done


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """{name of the check: "" or what was wrong}"""
    in_sandbox("true")
    build = Path(os.environ.get("FETCHD_BUILD_DIR", SOURCE / "build")).resolve()
    stage = tmp_path_factory.mktemp("stage")
    installed = subprocess.run(
        ["cmake", "--install", build],
        env={**os.environ, "DESTDIR": str(stage)},
        capture_output=True,
        text=True,
        umask=0o022,
    )
    assert installed.returncode == 0, installed.stderr
    done = in_sandbox(
        "-t", str(TIME_LIMIT_S), "-b", stage, "-b", HERE, "/usr/bin/python3", "-B", HERE / "scenario.py", stage,
        env={**os.environ, "FETCHD_SANITIZE": sanitizers(build)},
    )  # fmt: skip
    results = {}
    for line in done.stdout.splitlines():
        if line.startswith("ok "):
            results[line[3:]] = ""
        elif line.startswith("not ok "):
            name, _, why = line[7:].partition(": ")
            results[name] = why
    assert results, f"the scenario reported nothing (exit {done.returncode}):\n{done.stdout}\n{done.stderr}"
    return results


@pytest.mark.parametrize("name", [function.__name__ for function in scenario.CHECKS])
def test_unit(report, name):
    assert name in report, "the scenario ended before this check"
    assert report[name] == "", report[name].replace(" | ", "\n")
