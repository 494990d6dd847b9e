# SPDX-License-Identifier: MIT
"""What the programs say about themselves, and what the man pages say about them, is the same."""

import re

import pytest

from project import BUILD, FILES, ROOT, run, text

FETCHD = BUILD / "daemon" / "fetchd"
FETCHCTL = BUILD / "client" / "fetchctl"


def source_of(stem):
    """A man page's source; that of fetchd.conf.5 is made by the build, from the daemon's table of keys."""
    places = [path for path in (*FILES, *(BUILD / "docs").glob("*.scd")) if path.name == f"{stem}.scd"]
    assert places, f"no man page {stem}"
    return places[0]


def page(stem):
    """A man page's source with scdoc's escapes undone."""
    return re.sub(r"\\(.)", r"\1", text(source_of(stem)))


def flags(written):
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", written))


def help_of(*arguments):
    done = run(*arguments, "--help")
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_fetchd_help_and_its_man_page():
    described = flags(help_of(FETCHD))
    assert {"--config", "--socket", "--state-dir", "--log-level", "--version", "--check-config"} <= described
    manual = "\n".join(line for line in page("fetchd.8").splitlines() if not line.startswith("systemctl"))
    assert flags(manual) == described


def test_fetchctl_help_and_its_man_page():
    described = flags(help_of(FETCHCTL))
    for verb in ("get", "list", "cancel", "stats", "ping", "version"):
        described |= flags(help_of(FETCHCTL, verb))
        assert re.search(rf"\b{verb}\b", help_of(FETCHCTL)) and re.search(rf"\*{verb}\b", page("fetchctl.1")), verb
    assert {"--socket", "--json", "--max-size", "--parallel", "--fail"} <= described
    assert flags(page("fetchctl.1")) == described


def default_keys():
    """section.key: default, of the commented default file."""
    done = run(FETCHD, "--print-default-config")
    assert done.returncode == 0, done.stdout
    keys = {}
    section = None
    for line in done.stdout.splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match.group(1)
        elif match := re.fullmatch(r"#? ?(\w+) ?=(.*)", line):
            keys[f"{section}.{match.group(1)}"] = match.group(2).strip()
    return keys


def test_default_configuration_is_one(tmp_path):
    """Uncommented, it loads."""
    done = run(FETCHD, "--print-default-config")
    config = tmp_path / "fetchd.conf"
    lines = [re.sub(r"^# ?(\w+ ?= ?\S)", r"\1", line) for line in done.stdout.splitlines()]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    checked = run(FETCHD, "--config", config, "--check-config")
    assert checked.returncode == 0, checked.stdout


def test_every_key_is_in_the_man_page_with_its_default():
    keys = default_keys()
    assert len(keys) > 30
    manual = page("fetchd.conf.5")
    described = set()
    section = None
    for line in manual.splitlines():
        if match := re.search(r"\[(\w+)\]", line) if line.startswith(("#", "##")) else None:
            section = match.group(1).lower()
        elif match := re.match(r"\*(\w+)\* = ", line):
            described.add(f"{section}.{match.group(1)}")
    assert described == set(keys), (described ^ set(keys), "in one of man page and table only")


def test_every_close_reason_has_its_exit_code_in_the_man_page():
    manual = page("fetchctl.1")
    codes = text(ROOT / "proto" / "codes.h")
    table = codes[codes.index("CLOSE_REASON_TABLE") : codes.index("FAILURE_CODE_TABLE")]
    reasons = re.findall(r"X\((\w+), \d+\)", table)
    assert len(reasons) == 16
    missing = [reason for reason in reasons if reason not in manual]
    assert not missing, missing


def test_every_public_function_is_in_the_man_page():
    manual = page("libfetchd.3")
    header = "\n".join(text(path) for path in (ROOT / "client" / "include").rglob("*.h"))
    functions = set(re.findall(r"\b(fetchd_\w+)\s*\(", re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)))
    missing = sorted(function for function in functions if function not in manual)
    assert functions and not missing, missing


@pytest.mark.parametrize("stem", ["fetchd.8", "fetchd.conf.5", "fetchctl.1", "libfetchd.3"])
def test_man_page_builds(stem, tmp_path):
    with open(source_of(stem), "rb") as file:
        import subprocess  # pylint: disable=import-outside-toplevel

        done = subprocess.run(["scdoc"], stdin=file, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    built = tmp_path / stem
    built.write_bytes(done.stdout)
    shown = run("man", "--warnings", "-l", built, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
    assert shown.returncode == 0 and "warning" not in shown.stdout.lower().split("name", 1)[0], shown.stdout[:500]


def test_readme_names_what_is_there():
    """The two commands, the licence, and every path that it links to."""
    readme = text(ROOT / "README.md")
    for command in ("scripts/quickstart", "scripts/test"):
        assert command in readme and (ROOT / command).exists()
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / target).exists(), target
    assert (ROOT / "LICENSE").exists() and "LICENSE" in readme


def test_schema_and_tables_agree():
    """Close reasons and failure codes of the schema are those of proto/codes.h."""
    schema = text(ROOT / "proto" / "fetchd.proto")
    codes = text(ROOT / "proto" / "codes.h")
    for enum, table in (("CloseReason", "CLOSE_REASON_TABLE"), ("FailureCode", "FAILURE_CODE_TABLE")):
        block = re.search(rf"enum {enum} \{{(.*?)\n\}}", schema, re.DOTALL).group(1)
        block = re.sub(r"//[^\n]*", "", block)
        wanted = [(key, number) for key, number in re.findall(r"(\w+) = (\d+);", block) if number != "0"]
        start = codes.index(f"#define {table}(X)")
        listed = codes[start:].split("\n\n")[0]
        assert re.findall(r"X\((\w+), (\d+)\)", listed) == wanted, enum
