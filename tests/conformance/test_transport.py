# SPDX-License-Identifier: MIT
"""The path under HTTP/2: cut at each point and in each way, silent, or speaking something else."""

import contextlib
import errno
import socket
import threading

import pytest

from peer import FRAME_SIZE_ERROR, ID_MAX, INITIAL_WINDOW_SIZE, PING, Hostile
from support.h2_server import PeerGone, RawServer
from support.process import free_port, until
from support.protocol import code_name
from verdict import (
    DELIVERED,
    FORBIDDEN,
    IDEMPOTENT,
    NOT_IDEMPOTENT,
    NOTHING_SENT,
    UNPROCESSED,
    connection_error,
    end_of_connection,
    ended,
    failed,
    verdict,
)

WAYS = {
    "close": ("CONNECTION_CLOSED",),
    "cut": ("CONNECTION_CLOSED",),
    # That it broke, and what the system said.
    "tcp_reset": ("CONNECTION_ERROR", "CONNECTION_ERROR"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", ["before-head", "interim", "head", "mid-body", "mid-frame", "mid-headers"])
def test_20_connection_that_ends(client, serve, moment, way):
    """With TLS's close_notify, without it, and by a TCP reset: who was open loses its connection, with what has come."""

    def act(peer, request):
        if moment == "interim":
            peer.headers(request.stream, 103)
        if moment in ("head", "mid-body", "mid-frame"):
            peer.headers(request.stream, 200, [("content-length", "100")])
        if moment == "mid-body":
            peer.data(request.stream, b"part")
        if moment == "mid-frame":
            peer.frame(0, 0, request.stream, b"part", length=50)
        if moment == "mid-headers":
            peer.frame(1, 0, request.stream, peer.head(200))
        peer.barrier_if(moment != "mid-frame" and moment != "mid-headers")
        getattr(peer, way)()

    result = end_of_connection(client, serve, act)
    started = moment in ("head", "mid-body", "mid-frame")
    expected = failed("CONNECTION_LOST", *WAYS[way], status=200 if started else 0, why=DELIVERED if started else FORBIDDEN)
    # A frame that is not there as a whole has its octets delivered as they come; a reset may overtake them.
    expected.body = b"part" if moment in ("mid-body", "mid-frame") else b""
    if moment == "mid-frame" and way == "tcp_reset":
        expected.body = result.body
        assert result.body in (b"", b"part")
    assert verdict(result) == expected
    if way == "tcp_reset":
        assert result.closed.failures[1].sys_errno == errno.ECONNRESET
    if way == "cut":
        assert "close_notify" in result.texts


@pytest.mark.parametrize("way", WAYS)
def test_20_only_who_was_open_is_hurt(client, serve, way):
    """What was whole in the same breath is whole."""

    def script(peer):
        if peer.number > 1:
            peer.answer_all()
        whole, partly = peer.request("/whole"), peer.request("/partly")
        peer.headers(partly.stream, 200)
        peer.data(partly.stream, b"part")
        peer.respond(whole.stream, body=b"whole")
        if way == "tcp_reset":
            peer.barrier()
        getattr(peer, way)()

    server = serve(script)
    whole, partly = client.submit(server.url("/whole")), client.submit(server.url("/partly"))
    whole, partly = client.finish(whole, partly)
    assert verdict(whole) == ended(b"whole")
    assert verdict(partly) == failed("CONNECTION_LOST", *WAYS[way], body=b"part", status=200, why=DELIVERED)
    assert verdict(client.fetch(server.url())) == ended()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("moment", ["at-once", "after-settings", "after-request"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_19_connection_lost_before_the_head(client, serve, method, moment, times, way):
    """The request was written, so it may have been processed: what is idempotent goes again, the rest cannot."""

    def script(peer):
        if peer.number > times:
            peer.send_settings()
            peer.preface()
            peer.answer_all()
        if moment != "at-once":
            peer.send_settings()
        if moment == "after-request":
            peer.preface()
            peer.request()
        getattr(peer, way)()

    server = serve(script, bare=True)
    result = client.fetch(server.url(), method=method)
    lost = ("CONNECTION_LOST", *IDEMPOTENT)
    if method == "GET" and moment == "after-request":
        assert verdict(result) == ended(before=(lost,) * times)
    elif moment == "after-request":
        assert verdict(result) == failed("CONNECTION_LOST", *WAYS[way], why=NOT_IDEMPOTENT)
    else:
        # The end may come before or after the request is written: then it was never sent, and every method goes again.
        ledger = verdict(result).ledger
        allowed = {("INACTIVE", *UNPROCESSED), lost if method == "GET" else ("CONNECTION_LOST", *NOT_IDEMPOTENT)}
        assert set(ledger[: len(ledger) - (result.reason == "ENDED")]) <= allowed, result
        assert result.reason == ("ENDED" if method == "GET" else result.reason)
        assert result.reason in ("ENDED", "CONNECTION_LOST"), result
    assert verdict(client.fetch(server.url())).reason == "ENDED"


def test_19_what_was_never_sent_is_inactive(settled, serve):
    """The server stops reading while a hundred uploads are on their way to it, then resets the connection. Those of which
    nothing was written go again, whatever their method, and come exactly once; the others say that they may have been
    processed."""
    daemon = settled({"pool.max_connections_per_origin": "1"})
    full, count = threading.Event(), 100

    def script(peer):
        if peer.number > 1:
            peer.answer_all()
        peer.respond(peer.request("/known").stream)
        peer.update_window(0, ID_MAX - 65_535)
        peer.deaf_until(full)
        peer.tcp_reset()

    server = serve(script, settings=[(INITIAL_WINDOW_SIZE, 1 << 20)])
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with daemon.client() as client:
        assert client.fetch(server.url("/known")).reason == "ENDED"
        before = client.stats().pool.streams_opened
        numbers = [client.submit(server.url(f"/{index}"), method="POST", body=b"u" * 60_000) for index in range(count)]
        until(lambda: client.stats().pool.streams_opened - before == count, "all to be handed to the connection")
        full.set()
        results = client.finish(*numbers)
    sent = [result for result in results if result.reason == "CONNECTION_LOST"]
    unsent = [result for result in results if result.reason == "ENDED"]
    assert len(sent) + len(unsent) == count and sent and unsent
    assert {verdict(result).ledger for result in sent} == {(("CONNECTION_LOST", *NOT_IDEMPOTENT),)}
    assert {verdict(result).ledger for result in unsent} == {(("INACTIVE", *UNPROCESSED), ("ENDED", False, ""))}
    assert {code_name(result.closed.attempts[0].code) for result in unsent} == {"NEVER_SENT"}
    assert {result.closed.attempts[0].stream for result in unsent} == {0}
    paths = [request.path for number, request in server.requests if number > 1]
    assert len(paths) == len(set(paths)) == len(unsent)


def test_19_inactive_without_replay(settled, serve):
    """The client that forbids it is told, first of all, that nothing was sent."""
    daemon = settled({"pool.max_connections_per_origin": "1"})
    full = threading.Event()

    def script(peer):
        peer.respond(peer.request("/known").stream)
        peer.update_window(0, ID_MAX - 65_535)
        peer.deaf_until(full)
        peer.tcp_reset()

    server = serve(script, settings=[(INITIAL_WINDOW_SIZE, 1 << 20)])
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with daemon.client() as client:
        assert client.fetch(server.url("/known")).reason == "ENDED"
        before = client.stats().pool.streams_opened
        fields = {"method": "POST", "body": b"u" * 60_000, "replay_allowed": False}
        numbers = [client.submit(server.url(f"/{index}"), **fields) for index in range(100)]
        until(lambda: client.stats().pool.streams_opened - before == 100, "all to be handed to the connection")
        full.set()
        last = client.finish(*numbers)[-1]
    assert verdict(last) == failed("INACTIVE", "NEVER_SENT", *WAYS["tcp_reset"], why=FORBIDDEN)
    assert "never sent" in last.closed.failures[0].text


# ---- silence


QUICK = {"http.ping_after": "100ms", "http.ping_timeout": "150ms"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("moment", ["before-head", "mid-body"])
def test_10_half_open(settled, serve, method, moment):
    """The peer reads, says nothing and answers no PING: the connection is given up."""
    daemon = settled(QUICK)

    def script(peer):
        if peer.number > 1:
            peer.answer_all()
        peer.obliging.clear()
        request = peer.request()
        if moment == "mid-body":
            peer.headers(request.stream, 200)
            peer.data(request.stream, b"half")
        peer.idle()

    with daemon.client() as client:
        server = serve(script)
        result = client.fetch(server.url(), method=method)
        if moment == "mid-body":
            assert verdict(result) == failed("CONNECTION_LOST", "CONNECTION_ERROR", body=b"half", status=200, why=DELIVERED)
        elif method == "POST":
            assert verdict(result) == failed("CONNECTION_LOST", "CONNECTION_ERROR", why=NOT_IDEMPOTENT)
        else:
            assert verdict(result) == ended(before=(("CONNECTION_LOST", *IDEMPOTENT),))
        if result.reason != "ENDED":
            assert "http.ping_timeout" in result.texts
        assert verdict(client.fetch(server.url())) == ended()


@pytest.mark.parametrize("answer", ["other-data", "window-update", "unknown-frame", "half-a-frame"])
def test_10_any_octet_is_a_sign_of_life(settled, serve, answer):
    """A peer that answers PINGs in its own way is alive."""
    daemon = settled(QUICK)

    def script(peer):
        peer.obliging.discard(PING)
        request = peer.request()
        for _ in range(3):
            count = len([frame for frame in peer.received if frame.type == PING])
            peer.until(lambda count=count: len([frame for frame in peer.received if frame.type == PING]) > count)
            if answer == "other-data":
                peer.frame(PING, 1, 0, b"whatever")
            elif answer == "window-update":
                peer.update_window(0, 1)
            elif answer == "unknown-frame":
                peer.frame(0xEE, 0, 0)
            else:
                peer.raw(b"\0\0\1\xee\0\0\0\0\0")
                peer.raw(b"x")
        peer.respond(request.stream, body=b"late")
        peer.idle()

    with daemon.client() as client:
        assert verdict(client.fetch(serve(script).url())) == ended(b"late")


def test_41_silence_on_one_stream_is_a_stall_whatever_its_neighbours_do(client, serve):
    """Another stream brings an octet all the time, and the connection answers PINGs."""
    over = threading.Event()

    def script(peer):
        lively, silent = peer.request("/lively"), peer.request("/silent")
        for request in (lively, silent):
            peer.headers(request.stream, 200)
        peer.data(silent.stream, b"half")
        while not over.is_set():
            peer.data(lively.stream, b".")
            peer.listen()
        peer.data(lively.stream, b"", end=True)
        peer.answer_all()

    server = serve(script)
    lively = client.submit(server.url("/lively"), stall_timeout_ms=10_000)
    silent = client.submit(server.url("/silent"), stall_timeout_ms=150)
    result = client.finish(silent)
    over.set()
    assert verdict(result) == failed("TIMEOUT", "TIMEOUT_STALL", body=b"half", status=200, why=(False, "the job was over"))
    assert client.finish(lively).reason == "ENDED"
    assert verdict(client.fetch(server.url())) == ended()
    assert server.accepted == 1


def test_41_slow_drip_ends_by_the_total_deadline(client, serve):
    """An octet now and then is progress, but not for ever."""

    def script(peer):
        if peer.number > 1:
            peer.answer_all()
        request = peer.request("/drip")
        peer.headers(request.stream, 200)
        while request.stream not in peer.resets:
            peer.data(request.stream, b".")
            peer.listen()
        peer.answer_all()

    server = serve(script)
    result = client.fetch(server.url("/drip"), total_timeout_ms=150, stall_timeout_ms=100)
    assert (result.reason, result.codes) == ("TIMEOUT", ["TIMEOUT_TOTAL"]), result
    assert result.body.strip(b".") == b""
    assert verdict(client.fetch(server.url())) == ended()


# ---- something else


TEXTS = {
    "1.1": (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nno", "HTTP/1.1 400 Bad Request"),
    "1.0": (b"HTTP/1.0 505 HTTP Version Not Supported\r\n\r\n", "HTTP/1.0 505 HTTP Version Not Supported"),
    "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
    "control": (b"HTTP\x1b[2J\x07\x80\xff evil\r\n", "HTTP?[2J??? evil"),
    "no-line-end": (b"HTTP" + b"x" * 1000, "HTTP" + "x" * 60),
    "octets": (b"\xff" * 100, "?" * 64),
}


@pytest.mark.parametrize("text, quoted", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("piece", [1, 100_000], ids=["bit-by-bit", "at-once"])
@pytest.mark.parametrize("way", ["close", "cut", "idle"])
def test_22_text_on_an_h2_connection(client, serve, text, quoted, piece, way):
    """Quoted as far as it can be printed. Nothing was processed, but the next try would end alike; the next job tries."""

    def script(peer):
        if peer.number > 1:
            peer.send_settings()
            peer.preface()
            peer.answer_all()
        peer.preface()
        for at in range(0, len(text), piece):
            peer.raw(text[at : at + piece])
        if way == "idle":
            with contextlib.suppress(OSError):
                while peer.socket.recv(65_536):
                    pass
            raise PeerGone
        getattr(peer, way)()

    server = serve(script, bare=True)
    result = client.fetch(server.url())
    assert verdict(result) == failed("CONNECT_FAILED", "NOT_HTTP2")
    shown = result.closed.failures[0].text.split('"')[1]
    assert quoted.startswith(shown) and len(shown) >= min(4, len(quoted)), shown
    if piece > 1:
        assert shown == quoted
    assert verdict(client.fetch(server.url())) == ended()


def test_22_text_after_settings(client, serve):
    """A server that begins well and then falls back is broken: its text is read as a frame that is too large."""

    def act(peer, request):
        peer.raw(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")

    assert verdict(end_of_connection(client, serve, act)) == connection_error(FRAME_SIZE_ERROR)


REFUSALS = {
    "port": (None, "CONNECT_REFUSED"),
    "no-tls": (lambda sock, number: sock.sendall(b"HTTP/1.1 400 no TLS here\r\n\r\n"), "TLS_HANDSHAKE"),
    "hangs-up": (lambda sock, number: sock.recv(10), None),
    "alpn-other": ("http/1.1", "ALPN_MISMATCH"),
    "alpn-none": ("", "ALPN_MISMATCH"),
    "expired": ("expired", "TLS_CERT_EXPIRED"),
    "misnamed": ("misnamed", "TLS_CERT_NAME"),
    "untrusted": ("untrusted", "TLS_CERT_UNTRUSTED"),
}


@pytest.mark.parametrize("how, code", REFUSALS.values(), ids=REFUSALS.keys())
def test_06_everybody_who_waits_fails_at_once_and_the_next_one_tries_again(client, certificates, how, code):
    """Whatever is in the way of a connection. Nothing is remembered against the origin: as soon as it works, it is used."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        server = None
        if callable(how):
            server = stack.enter_context(RawServer(None, how, port=port, tls=False))
        elif how in ("http/1.1", ""):
            alpn = (how,) if how else ()
            server = stack.enter_context(Hostile(certificates.good, lambda peer: peer.idle(), port=port, alpn=alpn))
        elif how:
            server = stack.enter_context(Hostile(getattr(certificates, how), lambda peer: peer.idle(), port=port))
        results = client.finish(*[client.submit(f"https://localhost:{port}/{index}") for index in range(50)])
        assert {result.reason for result in results} == {"CONNECT_FAILED"}, results
        assert len({tuple(result.codes) for result in results}) == 1
        assert code is None or code in results[0].codes, results[0]
        assert {verdict(result).ledger for result in results} == {(("CONNECT_FAILED", *NOTHING_SENT),)}
        if server:
            assert server.accepted < len(results), "they share a try"
    with Hostile(certificates.good, lambda peer: peer.answer_all(), port=port) as server:
        assert verdict(client.fetch(server.url())) == ended()


def test_12_renewed_certificate_is_seen(client, certificates):
    """A bad one is not remembered, and a good one does not vouch for the next connection."""
    with Hostile(certificates.good, lambda peer: peer.answer_all()) as server:
        for pair, good in ((certificates.expired, False), (certificates.good, True)):
            server.use(pair)
            result = client.fetch(server.url())
            assert (result.reason == "ENDED") == good, result
        port = server.port
    with Hostile(certificates.misnamed, lambda peer: peer.answer_all(), port=port) as server:
        result = client.fetch(server.url())
        assert result.reason == "CONNECT_FAILED" and "TLS_CERT_NAME" in result.codes, result
