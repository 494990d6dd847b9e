# SPDX-License-Identifier: MIT
"""What every source file must have, and what none may."""

import ast
import re
import warnings

from project import C_FILES, FILES, PYTHON_FILES, ROOT, SHELL_FILES, code, name, text

BANNED = (
    "sprintf vsprintf strcpy stpcpy strcat strncat strncpy strtok strtok_r gets atoi atol atoll atof strtol strtoll "
    "alloca usleep sleep nanosleep system popen tmpnam mktemp tempnam gethostbyname rand srand setjmp longjmp"
).split()
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
LINES_TO_THINK = 600
LINES_AT_MOST = 1000
TEXT_SUFFIXES = {".c", ".h", ".py", ".md", ".scd", ".proto", ".txt", ".cmake", ".in", ".service", ".socket", ".conf", ".json"}
TEXTS = [
    path
    for path in FILES
    if (path.suffix in TEXT_SUFFIXES or path in SHELL_FILES) and "corpus" not in path.parts
]


def matches(paths, pattern, read=text):
    found = []
    for path in paths:
        for number, line in enumerate(read(path).splitlines(), 1):
            match = re.search(pattern, line)
            if match:
                found.append(f"{name(path)}:{number}: {match.group(0)}")
    return found


def test_banned_functions():
    found = matches(C_FILES, BANNED_CALL, code)
    assert not found, "\n".join(found)


def sleeps(tree, inside=""):
    """Line numbers of sleep() calls, but for those in a function that asks for a condition again and again, which is
    named until... or wait..."""
    for node in ast.iter_child_nodes(tree):
        name_here = node.name if isinstance(node, ast.FunctionDef) else inside
        if isinstance(node, ast.Call) and not name_here.startswith(("until", "wait")):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == "sleep":
                yield node.lineno
        yield from sleeps(node, name_here)


def test_no_sleep_in_tests():
    """A test that sleeps is slow when it works and fails when the machine is slow."""
    found = [f"{name(path)}:{line}: sleep()" for path in PYTHON_FILES for line in sleeps(ast.parse(text(path)))]
    found += matches(SHELL_FILES, r"(^|[;&|]|\bdo|\bthen)\s*sleep\b")
    assert not found, "\n".join(found)


def test_structs_have_no_typedef():
    found = matches([path for path in C_FILES if "tests" not in path.parts], r"^\s*typedef\s+(struct|enum|union)\b", code)
    assert not found, "\n".join(found)


def explained_elsewhere(path):
    """A source that is the other half of a header, or the tests of one file, needs no head comment of its own."""
    return path.suffix == ".c" and (path.with_suffix(".h").exists() or "unit" in path.parts)


def test_license_and_head_comment():
    wrong = []
    for path in C_FILES:
        lines = text(path).splitlines()
        if lines[:1] != ["/* SPDX-License-Identifier: MIT */"]:
            wrong.append(f"{name(path)}: no SPDX line")
        elif not lines[1].startswith("/*") and not explained_elsewhere(path):
            wrong.append(f"{name(path)}: no head comment")
    for path in [*PYTHON_FILES, *SHELL_FILES, *(path for path in FILES if path.name == "CMakeLists.txt")]:
        if "SPDX-License-Identifier: MIT" not in "\n".join(text(path).splitlines()[:3]):
            wrong.append(f"{name(path)}: no SPDX line")
    for path in PYTHON_FILES:
        if '"""' not in "\n".join(text(path).splitlines()[:3]):
            wrong.append(f"{name(path)}: no docstring")
    assert not wrong, "\n".join(wrong)


def test_headers_are_included_once():
    wrong = [name(path) for path in C_FILES if path.suffix == ".h" and "#pragma once" not in text(path)]
    wrong = [path for path in wrong if not path.startswith("client/include/")]
    assert not wrong, "\n".join(wrong)


def test_no_default_in_a_switch_over_our_own_enum():
    """A switch whose cases are our enumerators names them all, so that the compiler finds the one that is new."""
    wrong = []
    ours = re.compile(r"\bcase\s+(CLOSE|FAIL|LOG_LEVEL|CONFIG|JOB|PRIORITY|CHANNEL|STREAM|CONNECTION|WIRE|FETCHD)_\w+\s*:")
    for path in C_FILES:
        body = code(path)
        for match in re.finditer(r"\bswitch\s*\(", body):
            depth = 0
            start = body.index("{", match.end())
            for end in range(start, len(body)):
                depth += {"{": 1, "}": -1}.get(body[end], 0)
                if depth == 0:
                    break
            block = body[start:end]
            if ours.search(block) and re.search(r"\bdefault\s*:", block):
                wrong.append(f"{name(path)}:{body.count(chr(10), 0, start) + 1}: default: in a switch over an enum of ours")
    assert not wrong, "\n".join(wrong)


def test_no_machine_paths():
    pattern = r"/(work|home|root|Users)/\w|pyenv"
    found = [line for line in matches(TEXTS, pattern) if not line.startswith("tests/lint/test_source.py:")]
    found = [line for line in found if "/root/" not in line or "ProtectHome" not in line]
    assert not found, "\n".join(found)


def test_nothing_is_left_to_do():
    found = matches(TEXTS, r"\b(TODO|FIXME|HACK|WIP|TBD)\b|(/\*|//|#) *XXX\b")
    found = [line for line in found if not line.startswith("tests/lint/test_source.py:")]
    assert not found, "\n".join(found)


def test_whitespace():
    wrong = []
    for path in TEXTS:
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            wrong.append(f"{name(path)}: no newline at the end")
        if b"\r" in data:
            wrong.append(f"{name(path)}: carriage returns")
        if path.suffix != ".md" and re.search(rb"[ \t]$", data, re.MULTILINE):
            wrong.append(f"{name(path)}: blanks at the end of a line")
    assert not wrong, "\n".join(wrong)


def test_file_sizes():
    """Past 600 lines, a warning; past 1,000, an error."""
    wrong = []
    for path in [*C_FILES, *PYTHON_FILES]:
        lines = len(text(path).splitlines())
        if lines > LINES_AT_MOST:
            wrong.append(f"{name(path)}: {lines} lines")
        elif lines > LINES_TO_THINK:
            warnings.warn(f"{name(path)} has {lines} lines: think again", stacklevel=1)
    assert not wrong, "\n".join(wrong)


def test_unit_tests_mirror_the_sources():
    """tests/unit/<layer>/test_<file>.c is about <layer>/<file>.c, test_<layer>_... about all of the layer."""
    wrong = []
    for path in (ROOT / "tests" / "unit").rglob("test_*.c"):
        layer = path.parent.relative_to(ROOT / "tests" / "unit")
        folder = next((root / layer for root in (ROOT, ROOT / "daemon") if (root / layer).is_dir()), None)
        if folder is None:
            continue
        stem = path.stem.removeprefix("test_")
        candidates = [stem[: len(stem) - cut] for cut in range(len(stem)) if cut == 0 or stem[len(stem) - cut] == "_"]
        if folder.name in candidates:
            continue
        if not any((folder / f"{candidate}.{suffix}").exists() for candidate in candidates for suffix in "ch"):
            wrong.append(f"{name(path)}: which file is it about?")
    assert not wrong, "\n".join(wrong)
