# SPDX-License-Identifier: MIT
"""Clients that misbehave, and that others do not notice it. Every test's daemon is checked at its end for leaked jobs,
bytes and descriptors."""

import contextlib
import os
import socket

import pytest

from support.process import SANITIZED, until
from support.protocol import Gone, pb, varint


def hello(**fields):
    return pb.ClientFrame(hello=pb.ClientHello(**{"major": 1, **fields}))


def framed(data):
    return varint(len(data)) + data


@pytest.fixture
def witness(daemon, origin):
    """Another client with a job half-way; at the end it must complete."""
    with daemon.client() as other:
        number = other.submit(origin.url("/mid"), initial_credit=1000)
        other.wait_received(number, 1000)
        yield other
        other.credit(number, other.default_credit)
        result = other.finish(number)
        assert result.reason == "ENDED" and len(result.body) == 1 << 20, result
        assert other.fetch(origin.url("/one")).reason == "ENDED"


def gone(daemon, witness):
    """Waits until the witness is the only client."""
    return until(lambda: witness.stats().clients == 1, "the others to be gone") and daemon


def test_client_that_vanishes_mid_body(daemon, witness, origin):
    for _ in range(10):
        with daemon.client() as client:
            numbers = [client.submit(origin.url("/large")) for _ in range(3)]
            client.wait_received(numbers[0], 100_000)
    gone(daemon, witness)
    until(lambda: witness.stats().pool.streams == 1, "the vanished client's streams to be reset")


def test_client_that_vanishes_before_anything_happens(daemon, witness, origin):
    for _ in range(10):
        with daemon.client() as client:
            client.submit(origin.url("/large"))
    for _ in range(10):
        daemon.client(hello=False).close()
    gone(daemon, witness)


def test_client_that_closes_its_writing_side(daemon, witness, origin):
    """A half-closed client is a client that went away."""
    with daemon.client() as client:
        client.submit(origin.url("/large"))
        client.socket.shutdown(socket.SHUT_WR)
        client.goodbye()
    gone(daemon, witness)


def test_half_a_frame_and_then_silence(start_daemon, origin):
    daemon = start_daemon({"ipc.frame_timeout": "200ms"})
    with daemon.client() as client, daemon.client() as other:
        number = other.submit(origin.url("/large"))
        client.send_raw(varint(1000) + b"\x08")
        assert client.goodbye() == "FRAME_TIMEOUT"
        assert other.finish(number).reason == "ENDED"


def test_half_a_length_and_then_silence(start_daemon):
    daemon = start_daemon({"ipc.frame_timeout": "200ms"})
    with daemon.client() as client:
        client.send_raw(b"\x80")
        assert client.goodbye() == "FRAME_TIMEOUT"


def test_no_hello(start_daemon):
    daemon = start_daemon({"ipc.hello_timeout": "200ms"})
    with daemon.client(hello=False) as client:
        assert client.goodbye() == "HELLO_EXPECTED"


def test_half_a_hello(start_daemon):
    daemon = start_daemon({"ipc.hello_timeout": "200ms"})
    with daemon.client(hello=False) as client:
        client.send_raw(framed(hello().SerializeToString())[:-1])
        assert client.goodbye() in ("HELLO_EXPECTED", "FRAME_TIMEOUT")


def test_something_else_before_hello(daemon, witness):
    with daemon.client(hello=False) as client:
        client.send(pb.ClientFrame(id=1, ping=pb.Ping()))
        assert client.goodbye() == "HELLO_EXPECTED"


def test_second_hello(daemon, witness):
    with daemon.client() as client:
        client.send(hello())
        assert client.goodbye() in ("BAD_MESSAGE", "BAD_ID", "HELLO_EXPECTED")


def test_other_major_version(daemon):
    with daemon.client(hello=False) as client:
        client.send(hello(major=2))
        assert client.goodbye() == "UNSUPPORTED_VERSION"


def test_hello_answer(daemon):
    with daemon.client() as client, daemon.client() as other:
        answer = client.hello
        assert answer.max_client_frame_bytes == 65_536 and answer.max_server_frame_bytes == 131_072
        assert answer.default_credit_bytes == 256 << 10 and answer.max_credit_bytes >= answer.default_credit_bytes
        assert len(answer.instance_id) == 32 and int(answer.instance_id, 16) >= 0
        assert answer.instance_id == other.hello.instance_id == client.ping().instance_id
        assert answer.server_version and answer.max_jobs
        assert client.ping().pid == daemon.process.pid


@pytest.mark.parametrize("seed", range(4))
def test_garbage_of_64_kib(daemon, witness, seed):
    """After a good hello, and instead of one."""
    garbage = [os.urandom(65_536), b"\xff" * 65_536, b"\0" * 65_536, framed(b"\x2a\x00" * 32_000)][seed]
    for greet in (True, False):
        with daemon.client(hello=greet) as client:
            try:
                client.send_raw(garbage)
            except (BrokenPipeError, ConnectionResetError):
                pass
            with contextlib.suppress(OSError):
                client.socket.shutdown(socket.SHUT_WR)
            client.goodbye()
    gone(daemon, witness)


@pytest.mark.parametrize(
    "data, code",
    [
        (b"\x81\x80\x80\x80\x00", "BAD_FRAME"),
        (b"\x81\x00", "BAD_FRAME"),
        (varint(65_537), "BAD_FRAME"),
        (b"\xff\xff\xff\x7f", "BAD_FRAME"),
        (framed(b"\xff\xff\xff"), "BAD_MESSAGE"),
        (framed(b"\x22\x7f"), "BAD_MESSAGE"),
    ],
    ids=["five-bytes", "padded", "one-too-long", "huge", "no-protobuf", "cut-submessage"],
)
def test_bad_frames(daemon, witness, data, code):
    with daemon.client() as client:
        client.send_raw(data)
        assert client.goodbye() == code


def test_largest_frame_is_served(daemon, serve):
    from support.h2_server import simple  # pylint: disable=import-outside-toplevel

    server = serve(simple())
    with daemon.client() as client:
        number = client.next_id()
        submit = pb.Submit(url=server.url(), method="POST", body=b"")
        frame = pb.ClientFrame(id=number, submit=submit)
        room = 65_536 - frame.ByteSize()
        for size in range(room, room - 16, -1):
            frame.submit.body = b"x" * size
            if frame.ByteSize() == 65_536:
                break
        assert frame.ByteSize() == 65_536
        client.frames[number] = []
        client.send(frame)
        assert client.finish(number).reason == "ENDED"
        assert server.requests[0].body == frame.submit.body


def test_one_byte_at_a_time(daemon, origin):
    with daemon.client(hello=False) as client:
        submit = pb.ClientFrame(id=1, submit=pb.Submit(url=origin.url("/small")))
        for byte in framed(hello().SerializeToString()) + framed(submit.SerializeToString()):
            client.send_raw(bytes([byte]))
        client.frames[1] = []
        assert client.finish(1, refill=False).reason == "ENDED"


@pytest.mark.parametrize("ids", [(0,), (5, 5), (5, 4)])
def test_bad_ids(daemon, witness, ids):
    with daemon.client() as client:
        for number in ids:
            client.send(pb.ClientFrame(id=number, submit=pb.Submit(url="https://localhost/")))
        assert client.goodbye() == "BAD_ID"


@pytest.mark.parametrize("kind", ["credit", "cancel", "stop"])
def test_naming_a_job_that_never_was(daemon, witness, kind):
    with daemon.client() as client:
        message = {"credit": pb.Credit(bytes=1), "cancel": pb.Cancel(), "stop": pb.Stop()}[kind]
        client.send(pb.ClientFrame(id=77, **{kind: message}))
        assert client.goodbye() == "BAD_ID"


def test_unknown_message_kind(daemon, origin):
    with daemon.client() as client:
        # Field 23: nothing yet; an empty message.
        client.send_raw(framed(b"\x08\x01\xba\x01\x00"))
        frame = client.read()
        assert frame.WhichOneof("msg") == "unsupported" and frame.unsupported.field in (0, 23)
        client.last_id = 1
        assert client.fetch(origin.url("/one")).reason == "ENDED"


def test_too_many_headers_in_a_submit(daemon, witness):
    with daemon.client() as client:
        client.submit("https://localhost/", [("x", "1")] * 129)
        assert client.goodbye() == "BAD_MESSAGE"


def test_client_that_sends_and_never_reads(start_daemon):
    """Refused jobs, each with a Closed that nobody reads: soon the daemon takes no more from it, and that is all."""
    daemon = start_daemon({"ipc.control_budget": "256K"})
    with daemon.client(receive_buffer=4096) as client, daemon.client() as other:
        frame = pb.ClientFrame(submit=pb.Submit(url="ftp://refused/"))
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            for number in range(1, 1_000_000):
                frame.id = number
                client.send(frame)
        other.ping()
        assert daemon.memory("VmRSS") - daemon.idle_rss < 16 << 20 or SANITIZED


def test_client_that_reads_no_events(start_daemon, serve):
    """Heads that come from elsewhere and that nobody reads: the budget for control events ends it."""
    from support.h2_server import simple  # pylint: disable=import-outside-toplevel

    daemon = start_daemon({"ipc.control_budget": "256K"})
    server = serve(simple(200, [(f"x-{index}", "v" * 1000) for index in range(40)]))
    with daemon.client(receive_buffer=4096) as client, daemon.client() as other:
        for _ in range(50):
            client.submit(server.url())
        until(lambda: other.stats().clients == 1, "the slow one to be gone")
        # Its Goodbye is behind what it did not read, so it may never have reached its socket.
        assert client.goodbye() in ("SLOW_CONSUMER", None)
        daemon.wait_log("ipc.control_budget")


def test_too_many_clients(start_daemon):
    daemon = start_daemon({"ipc.max_clients": "3", "ipc.max_clients_per_uid": "3"})
    clients = [daemon.client() for _ in range(3)]
    with daemon.client(hello=False) as extra:
        try:
            extra.send(hello())
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert extra.goodbye() == "TOO_MANY_CLIENTS"
    for client in clients:
        client.ping()
        client.close()


def test_too_many_jobs_of_a_client(start_daemon, serve):
    daemon = start_daemon({"ipc.max_jobs_per_client": "5"})
    server = serve(lambda connection: connection.idle())
    with daemon.client() as client, daemon.client() as other:
        assert client.hello.max_jobs == 5
        open_jobs = [client.submit(server.url()) for _ in range(5)]
        result = client.fetch(server.url())
        assert result.reason == "DENIED" and result.codes[0] == "TOO_MANY_JOBS", result
        assert not client.saw(open_jobs[0], "closed")
        theirs = other.submit(server.url())
        other.wait(theirs, "accepted")
        client.cancel(open_jobs[0])
        client.finish(open_jobs[0])
        again = client.submit(server.url())
        client.wait(again, "accepted")
        for number in (*open_jobs[1:], again):
            client.cancel(number)
        client.finish(*open_jobs[1:], again)
        other.cancel(theirs)
        other.finish(theirs)


def test_jobs_of_other_connections_are_out_of_reach(daemon, serve):
    """Ids are each connection's own."""
    server = serve(lambda connection: connection.idle())
    with daemon.client() as client, daemon.client() as other:
        number = client.submit(server.url())
        client.wait(number, "accepted")
        with daemon.client() as third:
            third.send(pb.ClientFrame(id=number, cancel=pb.Cancel()))
            assert third.goodbye() == "BAD_ID"
        assert [job.client_name for job in other.list().jobs] == ["test"]
        client.cancel(number)
        assert client.finish(number).reason == "CANCELLED"


def test_list_and_cancel_by_the_daemons_number(daemon, serve):
    server = serve(lambda connection: connection.idle())
    with daemon.client(name="worker") as client, daemon.client(name="looker") as other:
        numbers = [client.submit(server.url(f"/{index}"), method="PUT" if index else "") for index in range(3)]
        jobs = [client.wait(number, "accepted").job for number in numbers]
        listed = other.list().jobs
        assert [job.job for job in listed] == sorted(jobs)
        assert [job.method for job in listed] == ["GET", "PUT", "PUT"]
        assert {job.client_name for job in listed} == {"worker"}
        assert {job.uid for job in listed} == {os.geteuid()} and {job.pid for job in listed} == {os.getpid()}
        assert listed[1].url == server.url("/1")
        page = other.list(limit=2)
        assert page.more and [job.job for job in page.jobs] == sorted(jobs)[:2]
        page = other.list(after=page.jobs[-1].job, limit=2)
        assert not page.more and [job.job for job in page.jobs] == sorted(jobs)[2:]
        assert other.ask(cancel_job=pb.CancelJob(job=jobs[1])).cancel_job.found
        result = client.finish(numbers[1])
        assert result.reason == "CANCELLED" and result.codes[0] == "CANCELLED_BY_CLIENT"
        assert not other.ask(cancel_job=pb.CancelJob(job=jobs[1])).cancel_job.found
        assert not other.ask(cancel_job=pb.CancelJob(job=1 << 60)).cancel_job.found
        for number in (numbers[0], numbers[2]):
            client.cancel(number)
        client.finish(numbers[0], numbers[2])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two users")
def test_users_see_their_own_jobs_only(daemon, serve):
    server = serve(lambda connection: connection.idle())
    os.chmod(daemon.path, 0o666)
    folder = daemon.path.parent
    closed = [path for path in (folder, *folder.parents) if path.stat().st_uid == 0 and path.stat().st_mode & 0o11 != 0o11]
    for path in closed:
        path.chmod(path.stat().st_mode | 0o11)
    try:
        with daemon.client() as client:
            number = client.submit(server.url())
            job = client.wait(number, "accepted").job
            os.seteuid(65534)
            try:
                stranger = daemon.client()
            finally:
                os.seteuid(0)
            with stranger:
                assert not stranger.list().jobs
                assert not stranger.ask(cancel_job=pb.CancelJob(job=job)).cancel_job.found
                theirs = stranger.submit(server.url("/theirs"))
                stranger.wait(theirs, "accepted")
                assert [info.url for info in stranger.list().jobs] == [server.url("/theirs")]
                assert len(client.list().jobs) == 2, "root sees everybody's"
                stranger.cancel(theirs)
                stranger.finish(theirs)
            client.cancel(number)
            client.finish(number)
    finally:
        for path in closed:
            path.chmod(path.stat().st_mode & ~0o11)


def test_passed_descriptors_are_not_kept(daemon, witness):
    """Nothing takes file descriptors yet: they must not pile up in the daemon."""
    before = daemon.fds()
    with daemon.client() as client:
        reader, writer = os.pipe()
        frame = framed(pb.ClientFrame(id=1, ping=pb.Ping()).SerializeToString())
        for index in range(1, 20):
            frame = framed(pb.ClientFrame(id=index, ping=pb.Ping()).SerializeToString())
            try:
                socket.send_fds(client.socket, [frame], [reader] * 10)
                client.read()
            except (Gone, BrokenPipeError, ConnectionResetError):
                break
        os.close(reader)
        os.close(writer)
        assert daemon.fds() <= before + 1
