# SPDX-License-Identifier: MIT
"""libfetchd as somebody else finds it: installed under a prefix, found by pkg-config and by CMake, used from C and C++;
and the example programs."""

import os
import subprocess

import pytest

from support.process import BUILD, PATIENCE, ROOT, SANITIZED

C_PROGRAM = r"""
#include <fetchd/fetchd.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_result result = FETCHD_RESULT_INIT;
	int r;

	if (argc != 3) {
		return 2;
	}
	request.url = argv[2];
	r = fetchd_fetch_to_fd(argv[1], &request, STDOUT_FILENO, &result);
	fprintf(stderr, "%d %s %u %s\n", r, fetchd_close_reason_name(result.reason), (unsigned)result.status,
		result.text);
	return r == 0 ? 0 : 1;
}
"""

CPP_PROGRAM = r"""
#include <fetchd/fetchd.h>
#include <iostream>
#include <string>

static void on_body(fetchd_job *, uint64_t, const void *data, size_t length, void *user)
{
	static_cast<std::string *>(user)->append(static_cast<const char *>(data), length);
}

static bool done = false;

static void on_closed(fetchd_job *, const fetchd_closed *closed, void *)
{
	std::cerr << fetchd_close_reason_name(closed->reason) << "\n";
	done = true;
}

int main(int argc, char **argv)
{
	fetchd_connection *connection = nullptr;
	fetchd_request request = FETCHD_REQUEST_INIT;
	fetchd_job_callbacks callbacks = FETCHD_JOB_CALLBACKS_INIT;
	std::string body;

	if (argc != 3 || fetchd_connect(argv[1], "consumer", -1, &connection) < 0) {
		return 2;
	}
	request.url = argv[2];
	callbacks.on_body = on_body;
	callbacks.on_closed = on_closed;
	if (fetchd_submit(connection, &request, &callbacks, &body, nullptr) < 0) {
		return 3;
	}
	while (!done && fetchd_wait(connection, -1) >= 0) {
	}
	fetchd_close(connection);
	std::cout << body;
	return done ? 0 : 4;
}
"""

CMAKE_PROJECT = """
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES C CXX)
find_package(Fetchd REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared PRIVATE fetchd::fetchd)
add_executable(static main.c)
target_link_libraries(static PRIVATE fetchd::fetchd_static)
add_executable(plus main.cpp)
target_link_libraries(plus PRIVATE fetchd::fetchd)
"""

FLAGS = ["-fsanitize=address,undefined"] if SANITIZED else []


def run(*arguments, **options):
    done = subprocess.run(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE * 3,
        check=False,
        **options,
    )
    assert done.returncode == 0, (arguments, done.stdout[-3000:], done.stderr[-3000:])
    return done


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", folder)
    return folder


@pytest.fixture(scope="module")
def environment(prefix):
    (metadata,) = prefix.rglob("libfetchd.pc")
    return {
        **os.environ,
        "PKG_CONFIG_PATH": str(metadata.parent),
        "LD_LIBRARY_PATH": str(metadata.parent.parent),
        "CMAKE_PREFIX_PATH": str(prefix),
    }


def test_installation_is_complete(prefix):
    there = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    for wanted in ("bin/fetchctl", "sbin/fetchd", "include/fetchd/fetchd.h"):
        assert wanted in there, sorted(there)
    for ending in ("libfetchd.so", "libfetchd.so.0", "libfetchd.a", "libfetchd.pc", "FetchdConfig.cmake",
                   "fetchd.8", "fetchd.conf.5", "fetchctl.1", "libfetchd.3", "fetchd.service", "fetchd.socket"):  # fmt: skip
        assert any(path.endswith("/" + ending) or path.endswith(ending + ".gz") for path in there), (ending, sorted(there))


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_found_by_pkg_config(daemon, nginx, documents, environment, tmp_path, language):
    source = tmp_path / f"main.{language}"
    source.write_text(C_PROGRAM if language == "c" else CPP_PROGRAM, encoding="ascii")
    flags = run("pkg-config", "--cflags", "--libs", "libfetchd", env=environment).stdout.decode().split()
    compiler = "cc" if language == "c" else "c++"
    run(compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", *FLAGS, "-o", tmp_path / "main", source, *flags)
    done = run(tmp_path / "main", daemon.path, nginx.url("/page"), env=environment)
    assert done.stdout == documents.read("page") and b"ENDED" in done.stderr


def test_found_by_cmake(daemon, nginx, documents, environment, tmp_path):
    (tmp_path / "main.c").write_text(C_PROGRAM, encoding="ascii")
    (tmp_path / "main.cpp").write_text(CPP_PROGRAM, encoding="ascii")
    (tmp_path / "CMakeLists.txt").write_text(CMAKE_PROJECT, encoding="ascii")
    flags = " ".join(FLAGS)
    run("cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_C_FLAGS={flags}",
        f"-DCMAKE_CXX_FLAGS={flags}", env=environment)  # fmt: skip
    run("cmake", "--build", tmp_path / "build", env=environment)
    for program in ("shared", "static", "plus"):
        done = run(tmp_path / "build" / program, daemon.path, nginx.url("/page"), env=environment)
        assert done.stdout == documents.read("page")


def examples():
    return sorted(path.stem for path in (ROOT / "client" / "examples").glob("*.c"))


def test_there_are_two_examples():
    assert len(examples()) >= 2


@pytest.mark.parametrize("name", examples())
def test_example(daemon, nginx, name):
    """Each takes URLs; the socket comes from the environment."""
    program = BUILD / "client" / "examples" / name
    done = run(program, nginx.url("/small"), env={**os.environ, "FETCHD_SOCKET": str(daemon.path)})
    assert done.stdout
    assert daemon.stats().jobs.submitted >= 1
