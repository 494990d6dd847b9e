# SPDX-License-Identifier: MIT
"""The house rules on who includes whom: a folder is a layer and includes only what lies below it, and each library is
included by the one place that wraps it."""

import re

from project import C_FILES, ROOT, name, text

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)

# Layer: the layers it may include. Everybody may include proto/codes.h, which depends on nothing.
ALLOWED = {
    "proto": {"proto"},
    "daemon/base": {"daemon/base"},
    "daemon/net": {"daemon/net", "daemon/base"},
    "daemon/http": {"daemon/http", "daemon/net", "daemon/base"},
    "daemon/job": {"daemon/job", "daemon/http", "daemon/net", "daemon/base"},
    # ipc hands on what the http layer gives (heads, the gauges of the pool) as it is.
    "daemon/ipc": {"daemon/ipc", "daemon/job", "daemon/http", "daemon/base", "proto"},
    "daemon": {"daemon", "daemon/ipc", "daemon/job", "daemon/http", "daemon/net", "daemon/base", "proto"},
    "client": {"client", "client/include/fetchd", "proto"},
    "client/fetchctl": {"client/fetchctl", "client/include/fetchd"},
    "client/examples": {"client/include/fetchd"},
    "client/include/fetchd": {"client/include/fetchd"},
}

# Header of a library: the files that may include it.
SINGLE_INCLUDER = {
    r"ev(\+\+)?\.h": r"daemon/base/loop\.c",
    r"ares(_.*)?\.h": r"daemon/net/dns\.c",
    r"gnutls/.*": r"daemon/net/tls[a-z_]*\.[ch]",
    r"uriparser/.*": r"daemon/net/url[a-z_]*\.[ch]",
    r"idn2\.h": r"daemon/net/url[a-z_]*\.[ch]",
    r"nghttp2/.*": r"daemon/http/(connection[a-z_]*\.[ch]|stream\.c)",
    r".*\.pb-c\.h": r"proto/wire[a-z_]*\.[ch]",
    r"protobuf-c/.*": r"proto/wire[a-z_]*\.[ch]",
    r"systemd/.*": r"daemon/[a-z_]+\.c",
    r"ini\.h": r"daemon/base/config[a-z_]*\.c",
    r"jansson\.h": r"client/fetchctl/json[a-z_]*\.[ch]",
    r"sqlite3\.h": r"daemon/store/.*",
    r"curl/.*": r"$nobody",
    r"openssl/.*": r"$nobody",
}

SOURCES = [path for path in C_FILES if name(path).startswith(("proto/", "daemon/", "client/"))]


def includes(path):
    for match in INCLUDE.finditer(text(path)):
        yield match.group(1), match.group(2)


def find(path, written):
    """The file that a quoted include means."""
    for folder in (path.parent, ROOT / "daemon", ROOT, ROOT / "client" / "include"):
        if (folder / written).exists():
            return (folder / written).resolve()
    return None


def layer(path):
    return str(path.parent.relative_to(ROOT))


def test_there_is_something_to_check():
    assert len(SOURCES) > 20
    assert {layer(path) for path in SOURCES} <= ALLOWED.keys(), "a folder without a rule"


def test_layers_include_only_what_lies_below():
    wrong = []
    for path in SOURCES:
        for quoted, bracketed in includes(path):
            written = quoted or bracketed
            found = find(path, written)
            if found is None or found == ROOT / "proto" / "codes.h":
                continue
            if layer(found) not in ALLOWED[layer(path)]:
                wrong.append(f"{name(path)} includes {written}")
    assert not wrong, "\n".join(wrong)


def test_project_headers_are_quoted_and_there():
    wrong = []
    for path in SOURCES:
        for quoted, _ in includes(path):
            # The generated header is the one that is not in the tree.
            if quoted and find(path, quoted) is None and not quoted.endswith(".pb-c.h"):
                wrong.append(f'{name(path)}: "{quoted}" is no file of the project')
    assert not wrong, "\n".join(wrong)


def test_each_library_has_one_includer():
    wrong = []
    for path in SOURCES:
        for quoted, bracketed in includes(path):
            written = quoted or bracketed
            for header, allowed in SINGLE_INCLUDER.items():
                if re.fullmatch(header, written) and not re.fullmatch(allowed, name(path)):
                    wrong.append(f"{name(path)} includes {written}")
    assert not wrong, "\n".join(wrong)


def test_sources_include_no_sources():
    """Only a unit test may, to reach what its subject keeps to itself."""
    wrong = [
        f"{name(path)} includes {written}"
        for path in SOURCES
        for written in (quoted or bracketed for quoted, bracketed in includes(path))
        if written.endswith(".c")
    ]
    assert not wrong, "\n".join(wrong)
