# SPDX-License-Identifier: MIT
"""The tree as the lint checks see it: every file that belongs to the project, and nothing that was built."""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FETCHD_BUILD_DIR", ROOT / "build-ci"))
_LEFT_OUT = re.compile(r"^(\.git|build|build-.*|__pycache__|\.pytest_cache|\.cache)$")


def _walk():
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not _LEFT_OUT.match(name))
        for name in sorted(names):
            yield pathlib.Path(folder) / name


FILES = list(_walk())
C_FILES = [path for path in FILES if path.suffix in (".c", ".h")]
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]


def _is_shell(path):
    with open(path, "rb") as file:
        return bool(re.match(rb"#! ?/\S*\b(sh|bash)\b", file.readline()))


SHELL_FILES = [path for path in FILES if path.suffix in ("", ".sh") and path.is_file() and _is_shell(path)]


def name(path):
    return str(path.relative_to(ROOT))


def text(path):
    return path.read_text(encoding="utf-8")


def code(path):
    """C without comments, string and character literals; lines stay where they are."""

    def blank(match):
        found = match.group(0)
        if found.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + found[-1]

    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, blank, text(path), flags=re.DOTALL)


def run(*arguments, **options):
    return subprocess.run(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
