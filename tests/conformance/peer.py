# SPDX-License-Identifier: MIT
"""An HTTP/2 origin that obeys nobody: the server's side of a connection written out by hand over real TLS, frame by
frame, with hyperframe for reading and hpack for header blocks. What it is told to send goes out as it is; what it does by
itself is what a well-behaved server does (acknowledge SETTINGS, answer PING), and can be turned off.

    def script(peer):
        request = peer.request()
        peer.headers(request.stream, 200, [("content-length", "5")])
        peer.frame(RST_STREAM, 0, request.stream, b"short")
        peer.idle()

One thread a connection; a script reads and writes in plain sequence and ends quietly when the client goes away."""

import contextlib
import socket
import ssl
import struct
import time

import hpack
import hyperframe.frame as frames

from support.h2_server import PeerGone, Server
from support.process import PATIENCE

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 0x1, 0x1, 0x4, 0x8, 0x20

(
    NO_ERROR,
    PROTOCOL_ERROR,
    INTERNAL_ERROR,
    FLOW_CONTROL_ERROR,
    SETTINGS_TIMEOUT,
    STREAM_CLOSED,
    FRAME_SIZE_ERROR,
    REFUSED_STREAM,
    CANCEL,
    COMPRESSION_ERROR,
    CONNECT_ERROR,
    ENHANCE_YOUR_CALM,
    INADEQUATE_SECURITY,
    HTTP_1_1_REQUIRED,
) = range(14)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6
NO_RFC7540_PRIORITIES = 9

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ID_MAX = (1 << 31) - 1


def make_frame(kind, flags, stream, payload=b"", length=None):
    """A frame as octets. `length` is what its head says, if that is to be a lie."""
    size = len(payload) if length is None else length
    return struct.pack(">BHBBL", size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings_payload(values):
    """Pairs, so that one setting may come twice and in any order."""
    pairs = values.items() if isinstance(values, dict) else values
    return b"".join(struct.pack(">HL", key, value) for key, value in pairs)


def literal(name, value=b""):
    """A field that enters no table, as octets: for names and values that no encoder would write."""

    def string(octets):
        octets = octets if isinstance(octets, bytes) else octets.encode()
        size = len(octets)
        if size < 127:
            return bytes([size]) + octets
        prefix = bytearray(b"\x7f")
        size -= 127
        while size > 127:
            prefix.append(size & 127 | 128)
            size >>= 7
        prefix.append(size)
        return bytes(prefix) + octets

    return b"\0" + string(name) + string(value)


class Request:
    def __init__(self, stream, headers):
        self.stream = stream
        self.headers = headers
        self.body = b""
        self.ended = False
        self.taken = False

    def get(self, name):
        return [value for key, value in self.headers if key == name]

    @property
    def path(self):
        return self.get(b":path")[0].decode()

    @property
    def method(self):
        return self.get(b":method")[0].decode()


class Peer:
    """The server's side of one connection. `obliging` are the answers it gives unasked: SETTINGS, PING; `refill` gives
    back the windows of uploads at once."""

    def __init__(self, server, sock, number, refill=True):
        self.server = server
        self.socket = sock
        self.number = number
        self.refill = refill
        self.obliging = {SETTINGS, PING}
        self.input = bytearray()
        self.encoder = hpack.Encoder()
        # The client's header blocks: nothing to decode may be dropped, and nothing of it is large.
        self.decoder = hpack.Decoder()
        self.block = None
        self.requests = {}
        self.resets = {}
        self.goaways = []
        self.pongs = []
        self.settings = {INITIAL_WINDOW_SIZE: 65_535, MAX_FRAME_SIZE: 16_384}
        self.settings_acks = 0
        # The HPACK table size of each SETTINGS of ours that is not acknowledged yet; None: as it was.
        self.unacknowledged = []
        # How much we may send, on the connection and, once a stream was written to or updated, on it.
        self.window = 65_535
        self.most_window = 65_535
        self.windows = {}
        self.received = []

    # -- what a test looks at

    def stream_window(self, stream):
        return self.settings[INITIAL_WINDOW_SIZE] + self.windows.get(stream, 0)

    # -- octets

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError, ValueError) as error:
            raise PeerGone from error

    def frame(self, kind, flags, stream, payload=b"", length=None):
        self.raw(make_frame(kind, flags, stream, payload, length))

    def fill(self):
        """Reads once. Raises PeerGone at the end; TimeoutError when nothing comes."""
        try:
            data = self.socket.recv(65_536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise PeerGone from error
        except ValueError as error:
            # "Read on closed or unwrapped SSL socket": the end of the test closed it.
            raise PeerGone from error
        if not data:
            raise PeerGone
        self.input += data

    def preface(self):
        while len(self.input) < len(PREFACE):
            self.fill()
        assert self.input.startswith(PREFACE), bytes(self.input[:40])
        del self.input[: len(PREFACE)]

    def pump(self):
        """Handles every whole frame that is there, or reads once."""
        if not self._handle_input():
            self.fill()
            self._handle_input()

    def _handle_input(self):
        handled = False
        while len(self.input) >= 9:
            frame, length = frames.Frame.parse_frame_header(memoryview(bytes(self.input[:9])))
            if len(self.input) < 9 + length:
                break
            frame.parse_body(memoryview(bytes(self.input[9 : 9 + length])))
            del self.input[: 9 + length]
            self.received.append(frame)
            self._handle(frame, length)
            handled = True
        return handled

    def _handle(self, frame, length):
        stream = frame.stream_id
        if isinstance(frame, frames.SettingsFrame):
            if "ACK" in frame.flags:
                self.settings_acks += 1
                size = self.unacknowledged.pop(0) if self.unacknowledged else None
                if size is not None:
                    self.decoder.max_allowed_table_size = size
            else:
                self.settings.update(frame.settings)
                if SETTINGS in self.obliging:
                    self.frame(SETTINGS, ACK, 0)
        elif isinstance(frame, frames.PingFrame):
            if "ACK" in frame.flags:
                self.pongs.append(frame.opaque_data)
            elif PING in self.obliging:
                self.frame(PING, ACK, 0, frame.opaque_data)
        elif isinstance(frame, frames.WindowUpdateFrame):
            if stream:
                self.windows[stream] = self.windows.get(stream, 0) + frame.window_increment
            else:
                self.window += frame.window_increment
                self.most_window = max(self.most_window, self.window)
        elif isinstance(frame, frames.RstStreamFrame):
            self.resets[stream] = frame.error_code
        elif isinstance(frame, frames.GoAwayFrame):
            self.goaways.append(frame)
        elif isinstance(frame, (frames.HeadersFrame, frames.ContinuationFrame)):
            self.block = (self.block or b"") + frame.data
            if "END_HEADERS" in frame.flags:
                headers = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(self.block, raw=True)]
                self.block = None
                self.requests[stream] = Request(stream, headers)
            if "END_STREAM" in frame.flags:
                self._ended(self.requests[stream])
        elif isinstance(frame, frames.DataFrame):
            self.requests[stream].body += frame.data
            if "END_STREAM" in frame.flags:
                self._ended(self.requests[stream])
            if self.refill and length:
                update = make_frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", length))
                if "END_STREAM" not in frame.flags:
                    update += make_frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", length))
                self.raw(update)

    def _ended(self, request):
        request.ended = True
        self.server.note(self, request)

    # -- waiting

    def until(self, condition):
        """Reads until it is so."""
        while not condition():
            self.pump()

    def listen(self, seconds=0.02):
        """Reads what comes for a moment."""
        self.socket.settimeout(seconds)
        try:
            with contextlib.suppress(TimeoutError):
                self.pump()
        finally:
            with contextlib.suppress(OSError):
                self.socket.settimeout(PATIENCE * 2)
        if self.server.closing:
            raise PeerGone

    def until_set(self, event):
        """Goes on reading until the test sets the event."""
        end = time.monotonic() + PATIENCE
        while not event.is_set():
            self.listen()
            assert time.monotonic() < end, "the test never gave the sign"

    def deaf_until(self, event):
        """Waits for the test's event, or its end, without reading a byte."""
        end = time.monotonic() + PATIENCE
        while not event.wait(0.05):
            if self.server.closing:
                raise PeerGone
            assert time.monotonic() < end, "the test never gave the sign"

    def request(self, path=None, whole=True):
        """The next request that was not returned yet (or the one for this path), with its whole body unless told
        otherwise."""
        while True:
            for number in sorted(self.requests):
                request = self.requests[number]
                if not request.taken and (request.ended or not whole) and path in (None, request.path):
                    request.taken = True
                    return request
            self.pump()

    def wait_reset(self, stream):
        self.until(lambda: stream in self.resets)
        return self.resets[stream]

    def wait_goaway(self):
        self.until(lambda: self.goaways)
        return self.goaways[0]

    def idle(self):
        while True:
            self.pump()

    def answer_all(self, status=200, fields=(), body=b"fine"):
        while True:
            self.respond(self.request().stream, status, fields, body)

    # -- writing

    def send_settings(self, values=()):
        self.unacknowledged.append(dict(values).get(HEADER_TABLE_SIZE))
        self.frame(SETTINGS, 0, 0, settings_payload(values))

    def settle(self, values=()):
        """SETTINGS, and the client has taken them."""
        acks = self.settings_acks
        self.send_settings(values)
        self.until(lambda: self.settings_acks > acks)

    def barrier(self):
        """The client has handled everything that was sent so far: it answers a PING."""
        pongs = len(self.pongs)
        self.frame(PING, 0, 0, b"barrier!")
        self.until(lambda: len(self.pongs) > pongs)

    def barrier_if(self, condition):
        if condition:
            self.barrier()

    def encode(self, fields):
        return self.encoder.encode([(name, value, True) for name, value in fields])

    def head(self, status, fields=()):
        """A response's header block."""
        return self.encode([(":status", str(status)), *fields])

    def headers(self, stream, status, fields=(), end=False):
        self.block_frames(stream, self.head(status, fields), end)

    def trailers(self, stream, fields, end=True):
        self.block_frames(stream, self.encode(fields), end)

    def block_frames(self, stream, block, end=False, piece=16_384):
        """A header block, cut into HEADERS and as many CONTINUATION as it takes."""
        flags = END_STREAM if end else 0
        pieces = [block[at : at + piece] for at in range(0, len(block), piece)] or [b""]
        out = b""
        for index, part in enumerate(pieces):
            last = END_HEADERS if index == len(pieces) - 1 else 0
            out += make_frame(CONTINUATION if index else HEADERS, last | (0 if index else flags), stream, part)
        self.raw(out)

    def data(self, stream, data, end=False, pad=None):
        """DATA as the client's windows and frame size allow, reading what it says meanwhile; ends early if it resets the
        stream."""
        view = memoryview(data)
        overhead = 0 if pad is None else pad + 1
        while True:
            room = min(self.window, self.stream_window(stream), self.settings[MAX_FRAME_SIZE]) - overhead
            if stream in self.resets:
                return
            if len(view) and room <= 0:
                self.pump()
                continue
            part = bytes(view[:room] if len(view) else view)
            view = view[len(part) :]
            self.force_data(stream, part, end and not view, pad)
            if not view:
                return

    def force_data(self, stream, data, end=False, pad=None):
        """One DATA frame, whatever the windows say."""
        payload = data if pad is None else bytes([pad]) + data + bytes(pad)
        self.window -= len(payload)
        self.windows[stream] = self.windows.get(stream, 0) - len(payload)
        self.frame(DATA, (END_STREAM if end else 0) | (PADDED if pad is not None else 0), stream, payload)

    def respond(self, stream, status=200, fields=(), body=b""):
        """A whole answer."""
        fields = list(fields)
        if not any(name == "content-length" for name, _ in fields):
            fields.append(("content-length", str(len(body))))
        self.headers(stream, status, fields, end=not body)
        if body:
            self.data(stream, body, end=True)

    def reset(self, stream, code):
        self.frame(RST_STREAM, 0, stream, struct.pack(">L", code))

    def goaway(self, last, code=NO_ERROR, debug=b""):
        self.frame(GOAWAY, 0, 0, struct.pack(">LL", last, code) + debug)

    def update_window(self, stream, increment):
        self.frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", increment))

    # -- ends

    def cut(self):
        """FIN, without TLS's close_notify."""
        self.server.drop(self.socket)
        raise PeerGone

    def close(self):
        """close_notify, then FIN."""
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            self.socket.unwrap()
        raise PeerGone

    def tcp_reset(self):
        """RST, as from a machine that knows nothing of the connection any more."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        raise PeerGone


class Hostile(Server):
    """Runs `script(peer)` on each connection, after the client's preface and our SETTINGS, unless `bare`."""

    def __init__(self, pair, script, settings=(), bare=False, refill=True, **options):
        super().__init__(pair, **options)
        self.script = script
        self.settings = settings
        self.bare = bare
        self.refill = refill
        self.requests = []
        self.peers = []

    def handle(self, sock, number):
        peer = Peer(self, sock, number, self.refill)
        with self.lock:
            self.peers.append(peer)
        if not self.bare:
            peer.send_settings(self.settings)
            peer.preface()
        self.script(peer)

    def note(self, peer, request):
        with self.changed:
            self.requests.append((peer.number, request))
            self.changed.notify_all()

    def wait_requests(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, PATIENCE), f"{len(self.requests)} requests"
