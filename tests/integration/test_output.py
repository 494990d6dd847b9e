# SPDX-License-Identifier: MIT
"""Bodies that the daemon writes to a descriptor of the client's (stream semantics, close reason 15): whole where they
should be, told to nobody else, and what becomes of them when the descriptor is no good or stops taking bytes."""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import pathlib
import socket
import subprocess
import tempfile
import threading

import pytest

from support import cli, process
from support.h2_server import answer_all
from support.origins import Nghttpd
from support.protocol import Client, pb, varint

CHUNK = 1 << 16


@contextlib.contextmanager
def descriptor(*arguments, **options):
    fd = os.open(*arguments, **options)
    try:
        yield fd
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)


@contextlib.contextmanager
def pipe(nonblocking=True):
    """(reading end, writing end)"""
    reading, writing = os.pipe()
    os.set_blocking(writing, not nonblocking)
    try:
        yield reading, writing
    finally:
        for fd in (reading, writing):
            with contextlib.suppress(OSError):
                os.close(fd)


@pytest.fixture(scope="module")
def huge(documents):
    documents.add("huge", 64 << 20)
    yield "/huge"
    (documents.folder / "huge").unlink()


@pytest.fixture(scope="module")
def unannounced(tmp_path_factory, certificates, documents):
    """Sends no Content-Length."""
    folder = tmp_path_factory.mktemp("unannounced")
    with Nghttpd(folder, certificates.good, documents, no_content_length=True) as server:
        yield server


@pytest.fixture
def tiny():
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    with tempfile.TemporaryDirectory(prefix="fetchd-tiny-") as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "fetchd-tiny", folder], check=False)
        if mounted.returncode != 0:
            pytest.skip("nothing can be mounted here")
        try:
            yield pathlib.Path(folder)
        finally:
            # The daemon closes what it had a moment after it has told of the end.
            process.until(lambda: subprocess.run(["umount", folder], check=False).returncode == 0, "it to be unmounted")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else sha256(file.read())


def read_all(fd, digest, most=None, size=CHUNK):
    """Reads to the end, or `most` bytes."""
    count = 0
    while most is None or count < most:
        data = os.read(fd, size)
        if not data:
            break
        digest.update(data)
        count += len(data)
    return count


def denied(result, code="OUTPUT_INVALID", text=""):
    assert result.reason == "DENIED" and result.codes == [code], result
    assert text in result.texts
    assert result.kinds == ["closed"]


# -- files


@pytest.mark.parametrize("name", ["empty", "one", "small", "page", "mid", "large"])
def test_output_a_file(client, origin, documents, tmp_path, name):
    path = tmp_path / "out"
    with descriptor(path, os.O_WRONLY | os.O_CREAT) as fd:
        result = client.fetch_to(origin.url(f"/{name}"), fd)
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0, "the position is the client's"
    assert result.reason == "ENDED", result
    assert "body" not in result.kinds
    assert result.head.status == 200 and result.head.content_length == documents.SIZES[name]
    assert result.closed.bytes.delivered == result.closed.bytes.payload == documents.SIZES[name]
    assert digest_of(path) == documents.sha256[name]


def test_output_of_64_mib(client, origin, documents, tmp_path, huge):
    path = tmp_path / "out"
    with descriptor(path, os.O_RDWR | os.O_CREAT) as fd:
        result = client.fetch_to(origin.url(huge), fd)
    assert result.reason == "ENDED", result
    assert digest_of(path) == documents.sha256["huge"]


def test_output_credit_has_no_meaning(client, origin, documents, tmp_path):
    path = tmp_path / "out"
    with descriptor(path, os.O_WRONLY | os.O_CREAT) as fd:
        number = client.submit_to(origin.url("/mid"), fd, initial_credit=0)
        client.credit(number, 1)
        result = client.finish(number, refill=False)
    assert result.reason == "ENDED" and digest_of(path) == documents.sha256["mid"]


def test_output_at_the_position_and_at_an_offset(client, origin, documents, tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"x" * 300_000)
    with descriptor(path, os.O_RDWR) as fd:
        os.lseek(fd, 10, os.SEEK_SET)
        assert client.fetch_to(origin.url("/page"), fd).reason == "ENDED"
        assert client.fetch_to(origin.url("/small"), fd, offset=200_000).reason == "ENDED"
        assert os.lseek(fd, 0, os.SEEK_CUR) == 10
    data = path.read_bytes()
    assert data[:10] == b"x" * 10 and data[10:100_010] == documents.read("page")
    assert data[100_010:200_000] == b"x" * 99_990
    assert data[200_000:201_024] == documents.read("small") and data[201_024:] == b"x" * (300_000 - 201_024)


def test_output_appending(client, origin, documents, tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"before")
    with descriptor(path, os.O_WRONLY | os.O_APPEND) as fd:
        assert client.fetch_to(origin.url("/mid"), fd).reason == "ENDED"
        denied(client.fetch_to(origin.url("/mid"), fd, offset=0), text="appending")
    assert path.read_bytes() == b"before" + documents.read("mid")


def test_output_progress_tells_how_much_is_written(client, origin, documents, tmp_path):
    with descriptor(tmp_path / "out", os.O_WRONLY | os.O_CREAT) as fd:
        result = client.fetch_to(origin.url("/large"), fd, progress_interval_ms=50)
    assert result.reason == "ENDED"
    delivered = [progress.delivered for progress in result.of("progress")]
    assert delivered == sorted(delivered) and delivered[-1] <= documents.SIZES["large"]


def test_output_many_at_once_on_few_threads(client, origin, documents, tmp_path):
    paths = [tmp_path / f"out{index}" for index in range(40)]
    with contextlib.ExitStack() as stack:
        numbers = [
            client.submit_to(origin.url("/mid"), stack.enter_context(descriptor(path, os.O_WRONLY | os.O_CREAT)))
            for path in paths
        ]
        results = client.finish(*numbers)
    assert {result.reason for result in results} == {"ENDED"}
    assert {digest_of(path) for path in paths} == {documents.sha256["mid"]}


def test_output_the_same_file_twice_at_two_offsets(client, origin, documents, tmp_path):
    path = tmp_path / "out"
    with descriptor(path, os.O_WRONLY | os.O_CREAT) as fd:
        one = client.submit_to(origin.url("/page"), fd, offset=0)
        other = client.submit_to(origin.url("/small"), fd, offset=100_000)
        assert [result.reason for result in client.finish(one, other)] == ["ENDED", "ENDED"]
    assert path.read_bytes() == documents.read("page") + documents.read("small")


def test_output_no_space(client, origin, documents, tiny):
    with descriptor(tiny / "out", os.O_WRONLY | os.O_CREAT) as fd:
        result = client.fetch_to(origin.url("/large"), fd)
    assert result.reason == "OUTPUT_FAILED" and result.codes == ["OUTPUT_ERROR"], result
    assert result.closed.failures[0].sys_errno == errno.ENOSPC
    assert (tiny / "out").stat().st_size == result.closed.bytes.delivered <= 1 << 20
    (tiny / "out").unlink()
    with descriptor(tiny / "out", os.O_WRONLY | os.O_CREAT) as fd:
        assert client.fetch_to(origin.url("/page"), fd).reason == "ENDED"
    assert digest_of(tiny / "out") == documents.sha256["page"]


def test_output_no_space_that_nobody_announced(client, unannounced, documents, tiny):
    origin = unannounced
    with descriptor(tiny / "out", os.O_WRONLY | os.O_CREAT) as fd:
        result = client.fetch_to(origin.url("/large"), fd)
    assert result.reason == "OUTPUT_FAILED" and result.closed.failures[0].sys_errno == errno.ENOSPC, result
    written = (tiny / "out").read_bytes()
    assert len(written) == result.closed.bytes.delivered > 0
    assert written == documents.read("large")[: len(written)]


# -- pipes and sockets


def test_output_a_pipe_with_a_slow_reader(client, origin, documents):
    digest = hashlib.sha256()
    with pipe() as (reading, writing):
        number = client.submit_to(origin.url("/mid"), writing)
        client.wait(number, "head")
        process.until(
            lambda: [job.wait.reason for job in client.list().jobs] == [pb.Wait.OUTPUT], "the job to wait for its output"
        )
        info = client.list().jobs[0]
        assert "descriptor" in info.waiting_for and info.delivered < documents.SIZES["mid"]
        os.close(writing)
        reader = threading.Thread(target=read_all, args=(reading, digest, None, 1000))
        reader.start()
        result = client.finish(number)
        reader.join(process.PATIENCE)
        assert not reader.is_alive(), "the daemon keeps the pipe open"
    assert result.reason == "ENDED" and digest.hexdigest() == documents.sha256["mid"]


def test_output_a_reader_that_is_gone(client, origin, documents):
    with pipe() as (reading, writing):
        number = client.submit_to(origin.url("/large"), writing)
        os.close(writing)
        assert read_all(reading, hashlib.sha256(), CHUNK) >= CHUNK
        os.close(reading)
        result = client.finish(number)
    assert result.reason == "OUTPUT_FAILED" and result.codes == ["OUTPUT_ERROR"], result
    assert result.closed.failures[0].sys_errno == errno.EPIPE
    assert result.closed.bytes.delivered < documents.SIZES["large"]
    assert client.fetch(origin.url("/small")).reason == "ENDED"


def test_output_a_pipe_that_begins_to_block(client, origin, documents):
    """O_NONBLOCK is the client's to clear at any time: the daemon serves on all the same."""
    digest = hashlib.sha256()
    with pipe() as (reading, writing):
        number = client.submit_to(origin.url("/mid"), writing)
        client.wait(number, "head")
        os.set_blocking(writing, True)
        process.until(lambda: client.list().jobs[0].wait.reason == pb.Wait.OUTPUT, "the job to wait for its output")
        assert client.fetch(origin.url("/small")).reason == "ENDED"
        os.close(writing)
        reader = threading.Thread(target=read_all, args=(reading, digest))
        reader.start()
        result = client.finish(number)
        reader.join(process.PATIENCE)
    assert result.reason == "ENDED" and digest.hexdigest() == documents.sha256["mid"], result


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_output_a_socket(client, origin, documents, family):
    digest = hashlib.sha256()
    if family == socket.AF_UNIX:
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours = listener.accept()[0]
    with ours, theirs:
        assert theirs.getblocking()
        number = client.submit_to(origin.url("/large"), theirs)
        theirs.close()
        reader = threading.Thread(target=read_all, args=(ours.fileno(), digest))
        reader.start()
        result = client.finish(number)
        reader.join(process.PATIENCE)
    assert result.reason == "ENDED" and digest.hexdigest() == documents.sha256["large"]


def test_output_a_socket_whose_other_end_is_gone(client, origin):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = client.submit_to(origin.url("/large"), theirs)
        client.wait(number, "head")
        ours.close()
        result = client.finish(number)
    assert result.reason == "OUTPUT_FAILED", result
    assert result.closed.failures[0].sys_errno in (errno.EPIPE, errno.ECONNRESET)


# -- what is no output


def test_output_what_cannot_be_written(client, origin, tmp_path):
    url = origin.url("/small")
    file = tmp_path / "file"
    file.write_bytes(b"untouched")
    with descriptor(tmp_path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        denied(client.fetch_to(url, fd), text="not open for writing")
    with descriptor(file, os.O_RDONLY) as fd:
        denied(client.fetch_to(url, fd), text="not open for writing")
    with descriptor(file, os.O_PATH) as fd:
        denied(client.fetch_to(url, fd), text="not open for writing")
    with descriptor("/dev/full", os.O_WRONLY) as fd:
        denied(client.fetch_to(url, fd), text="neither a regular file")
    with pipe(nonblocking=False) as (_, writing):
        denied(client.fetch_to(url, writing), text="O_NONBLOCK")
        assert os.get_blocking(writing), "its flags are its owner's"
    with pipe() as (reading, writing):
        denied(client.fetch_to(url, reading), text="not open for writing")
        denied(client.fetch_to(url, writing, offset=0), text="no regular file")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        denied(client.fetch_to(url, datagrams), text="no stream socket")
    with descriptor(file, os.O_WRONLY) as fd:
        denied(client.fetch_to(url, fd, offset=1 << 63), text="offset")
    assert file.read_bytes() == b"untouched"
    assert client.fetch(url).reason == "ENDED"


def test_output_a_sealed_memory_file(client, origin, documents):
    fd = os.memfd_create("output", os.MFD_ALLOW_SEALING)
    try:
        assert client.fetch_to(origin.url("/page"), fd).reason == "ENDED"
        assert sha256(os.pread(fd, 1 << 20, 0)) == documents.sha256["page"]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        result = client.fetch_to(origin.url("/mid"), fd)
        assert result.reason == "OUTPUT_FAILED" and result.closed.failures[0].sys_errno == errno.EPERM, result
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        denied(client.fetch_to(origin.url("/page"), fd), text="sealed")
    finally:
        os.close(fd)


def test_output_an_interface_of_the_kernel(client, origin):
    """What may be written there depends on who does, and that would be the daemon."""
    path = pathlib.Path("/proc/self/oom_score_adj")
    before = path.read_bytes()
    with descriptor(path, os.O_WRONLY) as fd:
        result = client.fetch_to(origin.url("/small"), fd)
    assert result.reason == "OUTPUT_FAILED" and "kernel" in result.texts, result
    assert result.closed.failures[0].sys_errno == errno.EPERM
    assert path.read_bytes() == before


def test_output_one_descriptor_not_none_and_not_two(client, origin, tmp_path):
    denied(client.fetch_to(origin.url("/small")), text="not 0")
    with descriptor(tmp_path / "out", os.O_WRONLY | os.O_CREAT) as fd:
        denied(client.fetch_to(origin.url("/small"), fd, fd), text="not 2")
        # One that the job has no use for is closed.
        result = client.finish(client.submit(origin.url("/small"), fds=[fd]))
        assert result.reason == "ENDED" and len(result.body) == 1024


def test_output_descriptors_that_did_not_come(daemon, origin):
    with daemon.client() as client:
        client.submit(origin.url("/small"), output=pb.Output(), fd_count=1)
        assert client.goodbye() == "BAD_MESSAGE"
    with daemon.client() as client:
        client.send(pb.ClientFrame(id=1, fd_count=1 << 31, ping=pb.Ping()))
        assert client.goodbye() == "BAD_MESSAGE"


def test_output_more_descriptors_than_may_come(daemon, tmp_path):
    with descriptor(tmp_path / "out", os.O_WRONLY | os.O_CREAT) as fd, daemon.client() as client:
        client.send(pb.ClientFrame(id=1, fd_count=16, ping=pb.Ping()), [fd] * 16)
        assert client.read().WhichOneof("msg") == "pong"
        client.send(pb.ClientFrame(id=2, fd_count=17, ping=pb.Ping()), [fd] * 17)
        assert client.goodbye() == "BAD_MESSAGE"
    with descriptor(tmp_path / "out", os.O_WRONLY) as fd, daemon.client() as client:
        # Those of a frame that does not end are kept, but not any number of them.
        client.send_raw(b"\xff\x7f")
        for _ in range(17):
            socket.send_fds(client.socket, [b"x"], [fd])
        assert client.goodbye() == "BAD_MESSAGE"


def test_output_descriptors_that_nobody_claims_are_closed(daemon, tmp_path):
    with descriptor(tmp_path / "out", os.O_WRONLY | os.O_CREAT) as fd, daemon.client() as client:
        before = daemon.fds()
        for number in range(1, 101):
            client.send(pb.ClientFrame(id=number, ping=pb.Ping()), [fd] * 16)
            assert client.read().WhichOneof("msg") == "pong"
        process.until(lambda: daemon.fds() == before, "the descriptors to be closed")


def test_output_frames_in_front_and_in_pieces(daemon, origin, documents, tmp_path):
    """Bytes that were sent before may come together with the frame that a descriptor rides on, and that frame in as many
    pieces as it has bytes."""
    paths = [tmp_path / "one", tmp_path / "two"]
    with daemon.client() as client, contextlib.ExitStack() as stack:
        fds = [stack.enter_context(descriptor(path, os.O_WRONLY | os.O_CREAT)) for path in paths]
        ping = pb.ClientFrame(id=1, ping=pb.Ping()).SerializeToString()
        frames = [
            pb.ClientFrame(
                id=2 + index, fd_count=1, submit=pb.Submit(url=origin.url(url), output=pb.Output())
            ).SerializeToString()
            for index, url in enumerate(["/page", "/small"])
        ]
        frames = [varint(len(frame)) + frame for frame in frames]
        client.send_raw(varint(len(ping)) + ping)
        socket.send_fds(client.socket, [frames[0][:1]], fds[:1])
        for byte in frames[0][1:]:
            client.send_raw(bytes([byte]))
        socket.send_fds(client.socket, [frames[1] + varint(len(ping))], fds[1:])
        client.send_raw(pb.ClientFrame(id=9, ping=pb.Ping()).SerializeToString())
        for number in (2, 3):
            client.frames.setdefault(number, [])
            client.granted[number] = 0
        results = client.finish(2, 3, refill=False)
    assert [result.reason for result in results] == ["ENDED", "ENDED"]
    assert [digest_of(path) for path in paths] == [documents.sha256["page"], documents.sha256["small"]]


def test_output_a_user_has_so_many(start_daemon, origin, serve, tmp_path):
    daemon = start_daemon({"ipc.max_fds_per_uid": "2"})
    silent = serve(answer_all(lambda connection, request: None))
    with daemon.client() as client, descriptor(tmp_path / "out", os.O_WRONLY | os.O_CREAT) as fd:
        held = [client.submit_to(silent.url("/"), fd) for _ in range(2)]
        for number in held:
            client.wait(number, "accepted")
        denied(client.fetch_to(origin.url("/small"), fd), "TOO_MANY_FDS", "ipc.max_fds_per_uid")
        client.cancel(held[0])
        assert client.finish(held[0]).reason == "CANCELLED"
        process.until(
            lambda: client.fetch_to(origin.url("/small"), fd).reason == "ENDED", "the descriptor to be given back"
        )
        client.cancel(held[1])
        assert client.finish(held[1]).reason == "CANCELLED"


# -- ends


def test_output_nothing_is_written_after_closed(client, origin, tmp_path, huge):
    path = tmp_path / "out"
    for _ in range(20):
        with descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
            number = client.submit_to(origin.url(huge), fd)
            process.until(lambda: path.stat().st_size > 0, "the file to grow")
            client.cancel(number)
            result = client.finish(number)
            assert result.reason == "CANCELLED", result
            size = path.stat().st_size
            os.ftruncate(fd, 0)
            client.ping()
            assert path.stat().st_size == 0, "somebody still writes"
            assert result.closed.bytes.delivered <= size


def test_output_enough_is_enough(client, origin, documents, tmp_path, huge):
    path = tmp_path / "out"
    with descriptor(path, os.O_WRONLY | os.O_CREAT) as fd:
        number = client.submit_to(origin.url(huge), fd)
        process.until(lambda: path.stat().st_size > 0, "the file to grow")
        client.stop(number)
        result = client.finish(number)
    assert result.reason == "STOP_DOWNLOAD"
    data = path.read_bytes()
    assert len(data) == result.closed.bytes.delivered > 0
    assert data == (documents.folder / "huge").read_bytes()[: len(data)]


def test_output_a_client_that_dies(daemon, origin, tmp_path, huge):
    before = daemon.fds()
    with descriptor(tmp_path / "out", os.O_WRONLY | os.O_CREAT) as fd, pipe() as (reading, writing):
        for _ in range(10):
            with daemon.client() as client:
                client.submit_to(origin.url(huge), fd)
                client.submit_to(origin.url(huge), writing)
                client.submit_to(origin.url(huge), fd)
                process.until(lambda: (tmp_path / "out").stat().st_size > 0, "the file to grow")
                os.ftruncate(fd, 0)
        os.close(writing)
        with contextlib.suppress(BlockingIOError):
            os.set_blocking(reading, True)
            read_all(reading, hashlib.sha256())  # ends when the daemon has closed its own
        # What is left is the connection to the origin.
        process.until(lambda: daemon.fds() <= before + 4, "the descriptors to be closed")
        process.until(lambda: daemon.stats().jobs.receiving == 0, "the jobs to end")


def test_output_the_daemon_stops(start_daemon, origin, tmp_path, huge):
    daemon = start_daemon({"daemon.drain_timeout": "0"})
    with descriptor(tmp_path / "out", os.O_WRONLY | os.O_CREAT) as fd, daemon.client() as client:
        numbers = [client.submit_to(origin.url(huge), fd) for _ in range(4)]
        for number in numbers:
            client.wait(number, "head")
        daemon.process.terminate()
        assert {result.reason for result in client.finish(*numbers)} <= {"SHUTDOWN", "ENDED"}
        assert client.goodbye() == "SHUTDOWN"
        assert daemon.wait() == 0


def test_output_room_is_reserved(client, serve, tmp_path):
    def begin(connection, request):
        connection.headers(request.stream, 200, [("content-length", str(8 << 20))])
        connection.data(request.stream, b"x" * 1000)

    path = tmp_path / "out"
    with descriptor(path, os.O_RDWR | os.O_CREAT) as fd:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.fallocate(fd, 1, ctypes.c_long(0), ctypes.c_long(4096)) == 0
        except AssertionError:
            pytest.skip("this file system reserves nothing")
        if subprocess.run(["stat", "-fc", "%T", tmp_path], capture_output=True, check=True).stdout.strip() == b"tmpfs":
            pytest.skip("in memory nothing is reserved")
        number = client.submit_to(serve(answer_all(begin)).url("/"), fd)
        process.until(lambda: path.stat().st_size == 1000, "what has come to be written")
        assert path.stat().st_blocks * 512 >= 8 << 20
        client.cancel(number)
        assert client.finish(number).reason == "CANCELLED"


def test_output_beside_a_response_without_body(client, origin, tmp_path):
    path = tmp_path / "out"
    with descriptor(path, os.O_WRONLY | os.O_CREAT) as fd:
        result = client.fetch_to(origin.url("/large"), fd, method="HEAD")
    assert result.reason == "ENDED" and result.head.content_length == 16 << 20
    assert path.stat().st_size == 0 and path.stat().st_blocks == 0


def test_output_old_clients_see_no_difference(daemon, origin, documents):
    with Client(daemon.path) as client:
        assert "fd-output" in client.hello.features
        assert sha256(client.fetch(origin.url("/mid")).body) == documents.sha256["mid"]


# -- fetchctl


@pytest.mark.parametrize("name", ["empty", "one", "small", "page", "mid", "large", "huge"])
def test_output_fetchctl_has_its_file_written(daemon, origin, documents, tmp_path, huge, name):
    outcome = cli.run(daemon, "get", "-o", tmp_path / "out", origin.url(f"/{name}"))
    assert outcome.status == 0 and not outcome.out and not outcome.err, outcome
    assert digest_of(tmp_path / "out") == documents.sha256[name]
    assert huge and [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["out"]


def test_output_fetchctl_finds_the_disk_full(daemon, origin, tiny):
    (tiny / "out").write_bytes(b"before")
    outcome = cli.run(daemon, "get", "-o", tiny / "out", origin.url("/large"))
    assert outcome.status == 5 and "No space left on device" in outcome.err, outcome
    assert [entry.name for entry in tiny.iterdir()] == ["out"] and (tiny / "out").read_bytes() == b"before"
