# SPDX-License-Identifier: MIT
"""Frames that break the protocol, each in one way; frames that are merely unknown; frames for streams that are over, or
never were."""

import pytest

from peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE_ERROR,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    NO_ERROR,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    literal,
)
from verdict import DELIVERED, among_neighbours, connection_error, end_of_connection, ended, verdict

OK = literal(":status", "200")
# Streams that the connection's two requests are on: "other" and "victim".
OTHER, VICTIM, IDLE, EVEN = 1, 3, 9, 2

FATAL = {
    # (type, flags, stream, payload), and the code that the daemon ends the connection with
    "data-stream-0": ((DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "data-idle": ((DATA, 0, IDLE, b"x"), PROTOCOL_ERROR),
    "data-even": ((DATA, 0, EVEN, b"x"), PROTOCOL_ERROR),
    "headers-stream-0": ((HEADERS, END_HEADERS, 0, OK), PROTOCOL_ERROR),
    "headers-idle": ((HEADERS, END_HEADERS, IDLE, OK), PROTOCOL_ERROR),
    "headers-even": ((HEADERS, END_HEADERS, EVEN, OK), PROTOCOL_ERROR),
    "headers-padding-too-long": ((HEADERS, END_HEADERS | 8, VICTIM, b"\xff" + OK), PROTOCOL_ERROR),
    "headers-priority-missing": ((HEADERS, END_HEADERS | 0x20, VICTIM, b"\0"), FRAME_SIZE_ERROR),
    "priority-short": ((PRIORITY, 0, VICTIM, bytes(4)), FRAME_SIZE_ERROR),
    "priority-long": ((PRIORITY, 0, VICTIM, bytes(6)), FRAME_SIZE_ERROR),
    "rst-stream-0": ((RST_STREAM, 0, 0, bytes(4)), PROTOCOL_ERROR),
    "rst-idle": ((RST_STREAM, 0, IDLE, bytes(4)), PROTOCOL_ERROR),
    "rst-even": ((RST_STREAM, 0, EVEN, bytes(4)), PROTOCOL_ERROR),
    "rst-short": ((RST_STREAM, 0, VICTIM, bytes(3)), FRAME_SIZE_ERROR),
    "rst-long": ((RST_STREAM, 0, VICTIM, bytes(5)), FRAME_SIZE_ERROR),
    "settings-on-a-stream": ((SETTINGS, 0, VICTIM, b""), PROTOCOL_ERROR),
    "settings-not-sixes": ((SETTINGS, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    "settings-ack-with-payload": ((SETTINGS, ACK, 0, bytes(6)), FRAME_SIZE_ERROR),
    "push-promise": ((PUSH_PROMISE, END_HEADERS, VICTIM, b"\0\0\0\2\x82\x84\x87\x41\x09localhost"), PROTOCOL_ERROR),
    "push-promise-stream-0": ((PUSH_PROMISE, END_HEADERS, 0, b"\0\0\0\2"), PROTOCOL_ERROR),
    "push-promise-empty": ((PUSH_PROMISE, END_HEADERS, VICTIM, b""), FRAME_SIZE_ERROR),
    "ping-on-a-stream": ((PING, 0, VICTIM, bytes(8)), PROTOCOL_ERROR),
    "ping-short": ((PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    "ping-long": ((PING, 0, 0, bytes(9)), FRAME_SIZE_ERROR),
    "window-update-short": ((WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    "window-update-long": ((WINDOW_UPDATE, 0, VICTIM, bytes(5)), FRAME_SIZE_ERROR),
    "window-update-idle": ((WINDOW_UPDATE, 0, IDLE, b"\0\0\0\1"), PROTOCOL_ERROR),
    "window-update-even": ((WINDOW_UPDATE, 0, EVEN, b"\0\0\0\1"), PROTOCOL_ERROR),
    "continuation-of-nothing": ((CONTINUATION, END_HEADERS, VICTIM, OK), PROTOCOL_ERROR),
    "oversized-data": ((DATA, 0, OTHER, bytes(16_385)), FRAME_SIZE_ERROR),
    "oversized-unknown": ((0xEE, 0, 0, bytes(16_385)), FRAME_SIZE_ERROR),
    "oversized-settings": ((SETTINGS, 0, 0, bytes(16_386)), FRAME_SIZE_ERROR),
    "oversized-headers": ((HEADERS, END_HEADERS, VICTIM, bytes(16_385)), FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize("frame, code", FATAL.values(), ids=FATAL.keys())
def test_17_frame_that_ends_the_connection(client, serve, frame, code):
    result = end_of_connection(client, serve, lambda peer, request: peer.frame(*frame))
    assert verdict(result) == connection_error(code)


def test_17_frame_that_is_longer_than_it_can_be(client, serve):
    """2^24 - 1 octets are announced; nobody waits for them."""

    def act(peer, request):
        peer.frame(DATA, 0, request.stream, b"", length=(1 << 24) - 1)

    assert verdict(end_of_connection(client, serve, act)) == connection_error(FRAME_SIZE_ERROR)


def test_17_the_daemon_says_what_was_wrong(client, serve):
    """GOAWAY with the code goes out before the connection is closed."""
    said = []

    def act(peer, request):
        peer.frame(PING, 0, 0, b"short")
        said.append(peer.wait_goaway())

    end_of_connection(client, serve, act)
    assert said[0].error_code == FRAME_SIZE_ERROR


FIRST = {
    "headers": (HEADERS, END_HEADERS, 1, OK),
    "ping": (PING, 0, 0, bytes(8)),
    "goaway": (7, 0, 0, bytes(8)),
    "window-update": (WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "data": (DATA, END_STREAM, 1, b"x"),
    "settings-ack": (SETTINGS, ACK, 0, b""),
}


@pytest.mark.parametrize("frame", FIRST.values(), ids=FIRST.keys())
def test_17_first_frame_that_is_not_settings(client, serve, frame):
    """RFC 9113, section 3.4."""

    def script(peer):
        if peer.number > 1:
            peer.send_settings()
            peer.preface()
            peer.answer_all()
        peer.preface()
        peer.request()
        peer.frame(*frame)
        peer.idle()

    server = serve(script, bare=True)
    assert verdict(client.fetch(server.url(), replay_allowed=False)) == connection_error(PROTOCOL_ERROR)
    assert verdict(client.fetch(server.url())) == ended()


def test_17_settings_ack_that_nobody_waits_for(client, serve):
    """More acknowledgements than SETTINGS."""

    def act(peer, request):
        peer.barrier()
        peer.frame(SETTINGS, ACK, 0)

    assert verdict(end_of_connection(client, serve, act)) == connection_error(PROTOCOL_ERROR)


# ---- what is to be ignored


def everywhere(kind, flags=0xFF, size=100):
    """On the connection, on an open stream, on an idle one, on an even one."""

    def act(peer, request):
        for stream in (0, request.stream, IDLE + 1000, EVEN):
            peer.frame(kind, flags, stream, bytes(size))
        peer.respond(request.stream, body=b"body")

    return act


UNKNOWN = {
    f"{kind:#x}-{size}": everywhere(kind, size=size) for kind in (0x0B, 0x20, 0x7F, 0xFF) for size in (0, 100, 16_384)
}


@pytest.mark.parametrize("act", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_18_unknown_frames_are_ignored(client, serve, act):
    assert verdict(among_neighbours(client, serve, act)) == ended(b"body")


def test_18_unknown_settings_are_ignored(client, serve):
    def act(peer, request):
        peer.settle([(0, 1), (7, 1), (0xA, 0xFFFFFFFF), (0xFFFF, 0)])
        peer.respond(request.stream, body=b"body")

    assert verdict(among_neighbours(client, serve, act)) == ended(b"body")


EXTENSIONS = {
    "altsvc": (0xA, 0, 0, b"\0\x09localhosth3=\":443\""),
    "altsvc-on-a-stream": (0xA, 0, VICTIM, b"\0\0h3=\":443\""),
    "altsvc-cut-short": (0xA, 0, 0, b"\xff\xff"),
    "origin": (0xC, 0, 0, b"\0\x13https://example.com"),
    "origin-cut-short": (0xC, 0, 0, b"\xff\xff"),
    "priority-update": (0x10, 0, 0, b"\0\0\0\3u=1"),
    # With NO_RFC7540_PRIORITIES on both sides they mean nothing, wherever they are.
    "priority-stream-0": (PRIORITY, 0, 0, bytes(5)),
    "priority": (PRIORITY, 0, IDLE, b"\0\0\0\0\x10"),
    "priority-of-itself": (PRIORITY, 0, VICTIM, VICTIM.to_bytes(4, "big") + b"\x10"),
}


@pytest.mark.parametrize("frame", EXTENSIONS.values(), ids=EXTENSIONS.keys())
def test_18_extension_frames_change_nothing(client, serve, frame):
    """Nothing is learned from them: the next job goes where its URL says."""

    def act(peer, request):
        peer.frame(*frame)
        peer.barrier()
        peer.respond(request.stream, body=b"body")

    assert verdict(among_neighbours(client, serve, act)) == ended(b"body")


def test_18_pushes_are_refused_before_a_setting_is_acknowledged(client, serve):
    """The client's SETTINGS came before its first request, so there is no excuse."""

    def script(peer):
        if peer.number > 1:
            peer.send_settings()
            peer.preface()
            peer.answer_all()
        peer.obliging.clear()
        peer.send_settings()
        peer.preface()
        request = peer.request()
        peer.frame(PUSH_PROMISE, END_HEADERS, request.stream, b"\0\0\0\2\x82\x84\x87\x41\x09localhost")
        peer.idle()

    server = serve(script, bare=True)
    result = client.fetch(server.url(), replay_allowed=False)
    assert verdict(result) == connection_error(PROTOCOL_ERROR) and "PUSH_PROMISE" in result.texts
    assert verdict(client.fetch(server.url())) == ended()


# ---- streams that are over

DEAD = {
    "window-update": lambda peer, stream: peer.update_window(stream, 1000),
    "priority": lambda peer, stream: peer.frame(PRIORITY, 0, stream, bytes(5)),
    "rst": lambda peer, stream: peer.reset(stream, NO_ERROR),
    "rst-twice": lambda peer, stream: (peer.reset(stream, NO_ERROR), peer.reset(stream, STREAM_CLOSED)),
    "unknown": lambda peer, stream: peer.frame(0xEE, 0, stream, b"x"),
}


@pytest.mark.parametrize("how", DEAD.values(), ids=DEAD.keys())
@pytest.mark.parametrize("end", ["whole", "reset"])
def test_18_harmless_frames_on_a_stream_that_is_over(client, serve, how, end):
    """They may have been on their way."""

    def act(peer, request):
        if end == "whole":
            peer.respond(request.stream, body=b"body")
        else:
            peer.headers(request.stream, 200)
            peer.reset(request.stream, NO_ERROR)
        how(peer, request.stream)
        peer.barrier()

    result = among_neighbours(client, serve, act)
    assert result.reason == ("ENDED" if end == "whole" else "RESET"), result


LATE = {
    "data": lambda peer, stream: peer.force_data(stream, b"late"),
    "data-end": lambda peer, stream: peer.force_data(stream, b"late", end=True),
    "headers": lambda peer, stream: peer.headers(stream, 200),
    "trailers": lambda peer, stream: peer.trailers(stream, [("x", "1")]),
}


@pytest.mark.parametrize("how", LATE.values(), ids=LATE.keys())
def test_39_frames_that_cross_our_reset(client, serve, how):
    """The peer sent them before it could know: they are thrown away, and their neighbours do not notice."""
    crossed = []

    def script(peer):
        victim, other = peer.request("/victim"), peer.request("/other")
        peer.headers(victim.stream, 200)
        peer.data(victim.stream, b"body")
        crossed.append(peer.wait_reset(victim.stream))
        how(peer, victim.stream)
        how(peer, victim.stream)
        peer.barrier()
        peer.respond(other.stream, body=b"other")
        peer.answer_all()

    server = serve(script)
    victim, other = client.submit(server.url("/victim")), client.submit(server.url("/other"))
    client.wait_received(victim, 4)
    client.cancel(victim)
    assert client.finish(victim).reason == "CANCELLED"
    assert verdict(client.finish(other)) == ended(b"other")
    assert verdict(client.fetch(server.url())) == ended()
    assert crossed == [8] and server.accepted == 1


@pytest.mark.parametrize("how", LATE.values(), ids=LATE.keys())
def test_17_more_after_the_end(client, serve, how):
    """A peer that goes on after END_STREAM is broken, but what was whole stays whole."""

    def act(peer, request):
        peer.respond(request.stream, body=b"body")
        how(peer, request.stream)
        peer.barrier()

    assert verdict(among_neighbours(client, serve, act)) == ended(b"body")


def test_13_larger_frames_than_we_allow_are_not_sent_to_us(client, serve):
    """What we announce is what RFC 9113 gives us when we say nothing: 16,384."""
    seen = {}

    def script(peer):
        request = peer.request()
        seen.update(peer.settings)
        peer.headers(request.stream, 200)
        peer.force_data(request.stream, bytes(16_384), end=True)
        peer.idle()

    assert verdict(client.fetch(serve(script).url())) == ended(bytes(16_384))
    assert seen[MAX_FRAME_SIZE] == 16_384 and seen[2] == 0 and seen[9] == 1
    assert seen[INITIAL_WINDOW_SIZE] == 256 * 1024 and seen[6] == 64 * 1024


def test_18_settings_come_in_any_number_and_order(client, serve):
    """The last one of a kind counts."""

    def act(peer, request):
        windows = [(INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 70_000)]
        peer.settle([*windows, (MAX_FRAME_SIZE, 20_000), (MAX_FRAME_SIZE, 16_384)])
        peer.until(lambda: request.ended)
        peer.respond(request.stream, body=request.body)

    result = among_neighbours(client, serve, act, settings={INITIAL_WINDOW_SIZE: 10}, method="POST", body=b"b" * 60_000)
    assert verdict(result) == ended(b"b" * 60_000)


def test_02_end_of_a_connection_names_the_stream_that_was_hurt(client, serve):
    """Both jobs on it carry the cause; the one whose answer had begun says that it cannot go again."""

    def act(peer, request):
        peer.headers(request.stream, 200)
        peer.data(request.stream, b"half")
        peer.frame(PING, 0, 0, b"short")

    result = end_of_connection(client, serve, act)
    assert verdict(result) == connection_error(FRAME_SIZE_ERROR, body=b"half", status=200, why=DELIVERED)
