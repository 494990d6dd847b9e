# SPDX-License-Identifier: MIT
"""What other tools say: clang-format, clang-tidy, shellcheck, and the compilers about the public header."""

import json
import os
import re
import shutil

import pytest

from project import BUILD, C_FILES, PYTHON_FILES, ROOT, SHELL_FILES, name, run


def test_clang_format():
    done = run("clang-format", "--dry-run", "-Werror", *C_FILES)
    assert done.returncode == 0, done.stdout[-6000:]


def test_clang_tidy():
    """Over everything that the build compiles, tests included; generated code excluded."""
    commands = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    files = sorted({entry["file"] for entry in commands if not entry["file"].startswith(str(BUILD))})
    assert len(files) > 20
    done = run(
        "run-clang-tidy", "-quiet", "-p", BUILD, "-j", os.cpu_count() or 2, *[f"^{re.escape(path)}$" for path in files]
    )
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    complaints = [line for line in shown.splitlines() if re.search(r": (warning|error):", line)]
    assert done.returncode == 0 and not complaints, "\n".join(sorted(set(complaints))) or shown[-4000:]


@pytest.mark.parametrize("path", SHELL_FILES, ids=name)
def test_shell_scripts(path):
    shell = "bash" if "bash" in path.read_text(encoding="utf-8").splitlines()[0] else "sh"
    assert run(shell, "-n", path).returncode == 0
    if shutil.which("shellcheck"):
        done = run("shellcheck", "--severity=warning", path)
        assert done.returncode == 0, done.stdout


def test_python_compiles():
    for path in PYTHON_FILES:
        compile(path.read_text(encoding="utf-8"), name(path), "exec")


@pytest.mark.parametrize("compiler", [("c++", "-std=c++11"), ("c++", "-std=c++20"), ("clang++", "-std=c++17"), ("cc", "-std=c99")])
def test_public_header_stands_alone(compiler, tmp_path):
    """In C99 and in C++, without a warning, and without any other header before it."""
    source = tmp_path / ("use.c" if compiler[0] == "cc" else "use.cpp")
    headers = sorted((ROOT / "client" / "include").rglob("*.h"))
    assert headers
    for header in headers:
        written = header.relative_to(ROOT / "client" / "include")
        source.write_text(f"#include <{written}>\n#include <{written}>\nint main(void) {{ return 0; }}\n", encoding="ascii")
        done = run(
            *compiler, "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
            f"-I{ROOT / 'client' / 'include'}", source,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_library_exports_only_its_own_names():
    library = next(iter(sorted(BUILD.glob("client/libfetchd.so.*"))), None)
    assert library, "no shared library was built"
    done = run("nm", "-D", "--defined-only", "--format=posix", library)
    symbols = {line.split()[0].split("@")[0] for line in done.stdout.splitlines()}
    symbols = {symbol for symbol in symbols if not re.fullmatch(r"FETCHD_[\d.]+|LIBFETCHD_[\d.]+", symbol)}
    assert symbols, done.stdout
    assert all(symbol.startswith("fetchd_") for symbol in symbols), symbols
    header = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "client" / "include").rglob("*.h"))
    declared = set(re.findall(r"\b(fetchd_\w+)\s*\(", header))
    assert symbols <= declared, f"exported but not declared: {sorted(symbols - declared)}"
