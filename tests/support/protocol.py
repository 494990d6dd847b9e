# SPDX-License-Identifier: MIT
"""A client of fetchd's protocol in plain Python, from the schema alone: it shares no code with the daemon or with
libfetchd, and it can be as rude as a test wants."""

import contextlib
import importlib
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

from support.process import PATIENCE, ROOT


def _generate():
    with tempfile.TemporaryDirectory(prefix="fetchd-test-") as folder:
        subprocess.run(
            ["/usr/bin/protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={folder}", "fetchd.proto"],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        sys.path.insert(0, folder)
        try:
            return importlib.import_module("fetchd_pb2")
        finally:
            sys.path.remove(folder)


pb = _generate()


def reason_name(number):
    return pb.CloseReason.Name(number)


def code_name(number):
    return pb.FailureCode.Name(number)


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class Result:
    """Everything that happened to one job, in order."""

    def __init__(self, frames):
        self.events = [(frame.WhichOneof("msg"), getattr(frame, frame.WhichOneof("msg"))) for frame in frames]
        kinds = [kind for kind, _ in self.events]
        assert kinds.count("closed") == 1 and kinds[-1] == "closed", kinds
        self.kinds = kinds
        self.body = b"".join(self.of("body", lambda body: body.data))
        self.head = next(iter(self.of("head")), None)
        self.closed = self.events[-1][1]
        assert len(self.of("head")) <= 1
        offset = 0
        for body in self.of("body"):
            assert body.offset == offset and body.data
            offset += len(body.data)

    def of(self, kind, project=lambda event: event):
        return [project(event) for name, event in self.events if name == kind]

    @property
    def reason(self):
        return reason_name(self.closed.reason)

    @property
    def codes(self):
        """The failure chain's codes, outermost first."""
        return [code_name(failure.code) for failure in self.closed.failures]

    @property
    def texts(self):
        return " | ".join(failure.text for failure in self.closed.failures)

    @property
    def headers(self):
        return [(field.name, field.value) for field in self.head.headers] if self.head else []

    def header(self, name):
        return [value for key, value in self.headers if key == name]

    def __repr__(self):
        status = self.head.status if self.head else "-"
        tries = [f"{attempt.connection}/{attempt.stream} {attempt.why}" for attempt in self.closed.attempts]
        return f"<{self.reason} {self.codes} status {status}, {len(self.body)} bytes: {self.texts}; tries {tries}>"


class Gone(Exception):
    """The daemon closed the connection."""


class Client:
    """One connection to the daemon. Nothing is read but on request, so a test decides when it is slow."""

    def __init__(self, path, hello=True, name="test", receive_buffer=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.input = bytearray()
        self.last_id = 0
        self.frames = {}
        self.granted = {}
        self.hello = None
        if hello:
            self.send(pb.ClientFrame(hello=pb.ClientHello(major=1, minor=0, client_name=name)))
            self.hello = self.read().hello
            assert self.hello.major == 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # -- frames

    def send(self, frame, fds=()):
        """`fds` ride on the frame's first byte."""
        data = frame.SerializeToString()
        data = varint(len(data)) + data
        if fds:
            sent = socket.send_fds(self.socket, [data], list(fds))
            data = data[sent:]
        if data:
            self.send_raw(data)

    def send_raw(self, data):
        self.socket.sendall(data)

    def _take(self):
        """A whole frame out of the input, or None."""
        length = shift = 0
        for index in range(min(4, len(self.input))):
            byte = self.input[index]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            assert len(self.input) < 4, "a length prefix of more than four bytes"
            return None
        start = index + 1
        assert length <= 131072, f"a frame of {length} bytes"
        if len(self.input) < start + length:
            return None
        frame = pb.ServerFrame.FromString(bytes(self.input[start : start + length]))
        del self.input[: start + length]
        return frame

    def read(self):
        """The next frame, whatever it is about. Raises Gone at the end of the connection."""
        while True:
            frame = self._take()
            if frame is not None:
                if frame.id:
                    self.frames.setdefault(frame.id, []).append(frame)
                return frame
            try:
                data = self.socket.recv(262144)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Gone
            self.input += data

    def read_for(self, seconds):
        """Reads what comes until nothing has come for this long. For showing that something does not come."""
        end = time.monotonic() + seconds
        frames = []
        try:
            while True:
                self.socket.settimeout(max(0.001, end - time.monotonic()))
                frames.append(self.read())
        except TimeoutError:
            return frames
        finally:
            self.socket.settimeout(PATIENCE)

    def goodbye(self):
        """Reads until the daemon hangs up and returns the Goodbye's code; None if there was none."""
        code = None
        try:
            while True:
                frame = self.read()
                assert code is None, "a frame after Goodbye"
                if frame.WhichOneof("msg") == "goodbye":
                    code = pb.Goodbye.Code.Name(frame.goodbye.code)
        except Gone:
            return code

    # -- requests

    def next_id(self):
        self.last_id += 1
        return self.last_id

    def submit(self, url, headers=(), fds=(), fd_count=None, **fields):
        """Submits a job; `fields` as in Submit. Returns its id."""
        number = self.next_id()
        submit = pb.Submit(url=url, **fields)
        for name, value in headers:
            submit.headers.add(
                name=name if isinstance(name, bytes) else name.encode(),
                value=value if isinstance(value, bytes) else value.encode(),
            )
        fds = [fd if isinstance(fd, int) else fd.fileno() for fd in fds]
        self.send(pb.ClientFrame(id=number, fd_count=len(fds) if fd_count is None else fd_count, submit=submit), fds)
        self.frames[number] = []
        credit = submit.initial_credit if submit.WhichOneof("opt_initial_credit") else self.default_credit
        self.granted[number] = credit
        return number

    @property
    def default_credit(self):
        return self.hello.default_credit_bytes if self.hello else 0

    def credit(self, number, amount):
        self.granted[number] += amount
        self.send(pb.ClientFrame(id=number, credit=pb.Credit(bytes=amount)))

    def cancel(self, number):
        self.send(pb.ClientFrame(id=number, cancel=pb.Cancel()))

    def upload(self, number, data, end=False):
        self.send(pb.ClientFrame(id=number, upload_data=pb.UploadData(data=data, end=end)))

    def stop(self, number):
        self.send(pb.ClientFrame(id=number, stop=pb.Stop()))

    def ask(self, **message):
        """Sends a request that has a reply and returns the reply's frame; jobs' events are kept."""
        number = self.next_id()
        self.send(pb.ClientFrame(id=number, **message))
        while True:
            frame = self.read()
            if frame.id == number:
                return frame

    def ping(self):
        return self.ask(ping=pb.Ping()).pong

    def stats(self, origins=256, connections=0):
        return self.ask(stats=pb.StatsRequest(origins=origins, connections=connections)).stats

    def list(self, after=0, limit=0):
        return self.ask(list=pb.ListRequest(after_job=after, limit=limit)).list

    # -- jobs

    def received(self, number):
        """Body bytes of a job so far."""
        return sum(len(frame.body.data) for frame in self.frames[number] if frame.WhichOneof("msg") == "body")

    def saw(self, number, kind):
        return [getattr(frame, kind) for frame in self.frames[number] if frame.WhichOneof("msg") == kind]

    def wait(self, number, kind):
        """Reads until an event of this kind has come for the job, and returns the first one."""
        while not self.saw(number, kind):
            assert not self.saw(number, "closed"), Result(self.frames[number])
            self.read()
        return self.saw(number, kind)[0]

    def wait_received(self, number, amount):
        while self.received(number) < amount:
            assert not self.saw(number, "closed"), Result(self.frames[number])
            self.read()

    def finish(self, *numbers, refill=True):
        """Reads until these jobs are closed, giving back credit as bodies come in, and returns their results (one: the
        result itself)."""

        def give_back(number, amount):
            # A daemon that ends hangs up when its last job has, and does not wait for credit that is owed. What it
            # said can still be read.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.credit(number, amount)

        waiting = {number for number in numbers if not self.saw(number, "closed")}
        owed = {number: self.received(number) for number in numbers} if refill else {}
        for number, amount in owed.items():
            if number in waiting and amount:
                give_back(number, amount)
        owed = dict.fromkeys(numbers, 0)
        while waiting:
            frame = self.read()
            if frame.id not in waiting:
                continue
            kind = frame.WhichOneof("msg")
            if kind == "closed":
                waiting.discard(frame.id)
            elif kind == "body" and refill:
                owed[frame.id] += len(frame.body.data)
                if owed[frame.id] >= self.default_credit // 2:
                    give_back(frame.id, owed[frame.id])
                    owed[frame.id] = 0
        results = [Result(self.frames[number]) for number in numbers]
        return results[0] if len(results) == 1 else results

    def submit_to(self, url, *fds, offset=None, **fields):
        """Submits a job whose body goes to a descriptor."""
        output = pb.Output(offset=offset) if offset is not None else pb.Output()
        return self.submit(url, fds=fds, output=output, **fields)

    def fetch_to(self, url, *fds, **fields):
        return self.finish(self.submit_to(url, *fds, **fields))

    def fetch(self, url, headers=(), **fields):
        return self.finish(self.submit(url, headers, **fields))


class FakeDaemon:
    """A daemon that says what a test wants, to one client: `script` is called with this, in a thread, when the hellos
    are exchanged. Leaving the block waits for its end, and raises what went wrong in it."""

    def __init__(self, folder, script, features=()):
        self.path = pathlib.Path(folder) / "fake.sock"
        self.script = script
        self.features = features
        self.input = bytearray()
        self.fds = []  # received and nobody's yet; the script closes what it takes
        self.error = None
        self.socket = None
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.settimeout(PATIENCE)
        self.listener.bind(str(self.path))
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            # What went wrong is known, and nobody comes any more.
            for end in (self.listener, self.socket):
                with contextlib.suppress(OSError, AttributeError):
                    end.shutdown(socket.SHUT_RDWR)
        self.thread.join(PATIENCE)
        self.listener.close()
        self.path.unlink()
        if kind is None:
            assert not self.thread.is_alive(), "the script has not ended"
            if self.error is not None:
                raise self.error

    def _run(self):
        try:
            self.socket = self.listener.accept()[0]
            with self.socket:
                self.socket.settimeout(PATIENCE)
                assert self.read().WhichOneof("msg") == "hello"
                self.send(
                    hello=pb.ServerHello(
                        major=1,
                        features=self.features,
                        server_version="0.0.0",
                        instance_id="0" * 32,
                        max_client_frame_bytes=65536,
                        max_server_frame_bytes=131072,
                        max_jobs=64,
                        default_credit_bytes=262144,
                        max_credit_bytes=1048576,
                    )
                )
                self.script(self)
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def read(self):
        """The client's next frame. Raises Gone when it hangs up."""
        while True:
            length = shift = 0
            for index, byte in enumerate(self.input[:4]):
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    if len(self.input) < index + 1 + length:
                        break
                    frame = pb.ClientFrame.FromString(bytes(self.input[index + 1 : index + 1 + length]))
                    del self.input[: index + 1 + length]
                    return frame
            data, fds, _, _ = socket.recv_fds(self.socket, 262144, 16)
            self.fds += fds
            if not data:
                raise Gone
            self.input += data

    def expect(self, kind):
        """The next frame, which is of this kind."""
        frame = self.read()
        assert frame.WhichOneof("msg") == kind, frame
        return frame

    def read_until(self, kind):
        while True:
            frame = self.read()
            if frame.WhichOneof("msg") == kind:
                return frame

    def send(self, number=0, **message):
        data = pb.ServerFrame(id=number, **message).SerializeToString()
        self.socket.sendall(varint(len(data)) + data)

    def close_job(self, number, reason="ENDED", **fields):
        self.send(number, closed=pb.Closed(reason=pb.CloseReason.Value(reason), **fields))


def connectable(path: pathlib.Path):
    """Does a daemon accept connections there?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
