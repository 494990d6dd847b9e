# SPDX-License-Identifier: MIT
"""A scriptable HTTP/2 origin: one thread a connection, and a script that reads and writes in plain sequence.

    def script(connection):
        request = connection.request()
        connection.respond(request.stream, 200, body=b"hello")
        connection.idle()

    with H2Server(certificates.good, script) as server:
        ...

A script ends quietly when the peer goes away. Anything else it raises fails the test when the server is closed."""

import socket
import ssl
import threading
import time
import traceback

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from h2.errors import ErrorCodes  # noqa: F401  (for the scripts)

from support.process import PATIENCE


class PeerGone(Exception):
    """The peer closed the connection."""


class Request:
    def __init__(self, stream, headers):
        self.stream = stream
        self.headers = headers
        self.body = b""
        self.ended = False

    def get(self, name):
        return [value for key, value in self.headers if key == name]


class H2Connection:
    """The server's side of one connection."""

    def __init__(self, server, sock, number, settings=None):
        self.server = server
        self.socket = sock
        self.number = number
        self.requests = {}
        self.events = []
        self.resets = {}
        self.goaway = None
        self.answered = set()
        self.sent = {}
        config = h2.config.H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=True,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        if settings:
            # In a frame of their own: h2 holds the peer to them once it acknowledged them, not before.
            self.h2.update_settings(settings)
        self.flush()

    # -- bytes

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.raw(data)

    def raw(self, data):
        """Bytes that h2 would refuse to write."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as error:
            raise PeerGone from error

    def frame(self, kind, flags, stream, payload=b""):
        """One hand-made frame, after everything h2 has to say."""
        self.flush()
        self.raw(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)

    def pump(self):
        """Reads once and notes what came. Raises PeerGone at the end."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise PeerGone from error
        if not data:
            raise PeerGone
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            if self.h2.state_machine.state is not h2.connection.ConnectionState.CLOSED:
                raise
            # h2 takes nothing after GOAWAY, though RFC 9113, section 6.8 lets streams that are open finish.
            raise PeerGone from error
        for event in events:
            self.events.append(event)
            if isinstance(event, h2.events.RequestReceived):
                self.requests[event.stream_id] = Request(event.stream_id, event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.requests[event.stream_id].body += event.data
                if event.flow_controlled_length and self.server.acknowledge:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.requests[event.stream_id].ended = True
                self.server.note(self.requests[event.stream_id])
            elif isinstance(event, h2.events.StreamReset):
                self.resets[event.stream_id] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = event
        self.flush()

    # -- reading

    def request(self, stream=None, whole=True):
        """The next request that no call has returned yet (or that of this stream), with its whole body unless told
        otherwise."""
        while True:
            for number in sorted(self.requests):
                request = self.requests[number]
                if (stream is None or number == stream) and (request.ended or not whole):
                    if not getattr(request, "taken", False):
                        request.taken = True
                        return request
            self.pump()

    def wait_reset(self, stream):
        while stream not in self.resets:
            self.pump()
        return self.resets[stream]

    def wait_event(self, kind):
        while True:
            for index, event in enumerate(self.events):
                if isinstance(event, kind):
                    return self.events.pop(index)
            self.pump()

    def idle(self):
        """Answers SETTINGS and PING until the peer goes away."""
        while True:
            self.pump()

    def wait(self, event):
        """Waits for the test to set an event, or to end; the connection is not read meanwhile."""
        end = time.monotonic() + PATIENCE
        while not event.wait(0.05):
            if self.server.closing:
                raise PeerGone
            assert time.monotonic() < end, "the test never gave the sign"

    # -- writing

    def headers(self, stream, status, fields=(), end=False):
        self.h2.send_headers(stream, [(":status", str(status)), *fields], end_stream=end)
        self.flush()

    def data(self, stream, data, end=False, padding=None):
        """Sends DATA as the peer's windows allow, reading what it says in between."""
        self.sent.setdefault(stream, 0)
        view = memoryview(data)
        overhead = 0 if padding is None else padding + 1
        while True:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size) - overhead
            if len(view) and room <= 0:
                self.pump()
                if stream in self.resets:
                    return
                continue
            piece = view[:room] if len(view) else view
            view = view[len(piece) :]
            last = not view
            self.h2.send_data(stream, piece.tobytes(), end_stream=end and last, pad_length=padding)
            self.sent[stream] += len(piece)
            self.flush()
            if last:
                return

    def trailers(self, stream, fields):
        self.h2.send_headers(stream, list(fields), end_stream=True)
        self.flush()

    def respond(self, stream, status=200, fields=(), body=b""):
        fields = [*fields]
        if not any(name == "content-length" for name, _ in fields):
            fields.append(("content-length", str(len(body))))
        self.headers(stream, status, fields, end=not body)
        if body:
            self.data(stream, body, end=True)

    def reset(self, stream, code):
        self.h2.reset_stream(stream, code)
        self.flush()

    def send_goaway(self, code=0, last_stream=0, debug=b""):
        """A GOAWAY frame by hand: h2 would close its own side with it."""
        self.frame(7, 0, 0, last_stream.to_bytes(4, "big") + int(code).to_bytes(4, "big") + debug)

    def abort(self):
        """Drops the connection without a word."""
        self.server.drop(self.socket)
        raise PeerGone


class Server:
    """Accepts connections, each in a thread of its own. `handle(socket, number)` serves one; subclasses say how."""

    def __init__(self, pair=None, host="127.0.0.1", port=0, alpn=("h2",), tls=True, backlog=128):
        self.host = host
        self.alpn = alpn
        self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.context = None
        if tls:
            self.use(pair)
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.accepted = 0
        self.sockets = set()
        self.threads = []
        self.errors = []
        self.closing = False

    def use(self, pair, alpn=None, maximum=ssl.TLSVersion.TLSv1_3):
        """From now on this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = maximum
        context.load_cert_chain(pair.certificate, pair.key)
        alpn = self.alpn if alpn is None else alpn
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self.context = context

    def url(self, path="/", host=None):
        host = host or ("[::1]" if ":" in self.host else "localhost")
        return f"{'https' if self.context else 'http'}://{host}:{self.port}{path}"

    def __enter__(self):
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self.threads.append(thread)
        return self

    def __exit__(self, kind, *_):
        self.closing = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for sock in self.sockets:
                self.drop(sock)
        for thread in self.threads:
            thread.join(PATIENCE)
        if kind is None:
            assert not self.errors, "\n".join(self.errors)

    @staticmethod
    def drop(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE * 2)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.accepted += 1
                number = self.accepted
                self.sockets.add(sock)
                self.changed.notify_all()
                if self.closing:
                    self.drop(sock)
            thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
            thread.start()
            self.threads.append(thread)

    def _serve(self, plain, number):
        sock = plain
        try:
            try:
                if self.context:
                    sock = self.context.wrap_socket(plain, server_side=True)
                    with self.lock:
                        self.sockets.discard(plain)
                        self.sockets.add(sock)
                    if self.closing:
                        return
            except (OSError, ssl.SSLError):
                return
            self.handle(sock, number)
        except PeerGone:
            pass
        except Exception:  # pylint: disable=broad-except
            if not self.closing:
                self.errors.append(traceback.format_exc())
        finally:
            with self.lock:
                self.sockets.discard(sock)
                self.sockets.discard(plain)
                sock.close()

    def handle(self, sock, number):
        raise NotImplementedError

    def wait_accepted(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: self.accepted >= count, PATIENCE), f"{self.accepted} connections"


class RawServer(Server):
    """Runs `script(socket, number)` on each connection."""

    def __init__(self, pair, script, **options):
        super().__init__(pair, **options)
        self.script = script

    def handle(self, sock, number):
        self.script(sock, number)


class H2Server(Server):
    """Runs `script(connection)` on each HTTP/2 connection. `settings` are announced at once, but requests may be on their
    way by then; a test that needs them known fetches something first. `acknowledge` False leaves flow control of uploads
    to the script."""

    def __init__(self, pair, script, settings=None, acknowledge=True, **options):
        super().__init__(pair, **options)
        self.script = script
        self.settings = settings
        self.acknowledge = acknowledge
        self.requests = []

    def handle(self, sock, number):
        connection = H2Connection(self, sock, number, self.settings)
        try:
            self.script(connection)
        except h2.exceptions.StreamClosedError as error:
            # The peer reset the stream while the script wrote to it: normal for what the tests do to it.
            raise PeerGone from error

    def note(self, request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def wait_requests(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, PATIENCE), f"{len(self.requests)} requests"
            return self.requests[:count]


def answer_all(respond):
    """A script that answers every request of a connection by `respond(connection, request)`."""

    def script(connection):
        while True:
            respond(connection, connection.request())

    return script


def simple(status=200, fields=(), body=b"hello\n"):
    """A script that gives every request the same answer."""
    return answer_all(lambda connection, request: connection.respond(request.stream, status, fields, body))
