# SPDX-License-Identifier: MIT
"""Content-Length against what comes: the fault is its stream's alone, and is called what it is."""

import pytest

from peer import DATA, END_STREAM, PADDED, literal
from verdict import (
    DELIVERED,
    FINAL,
    among_neighbours,
    connection_error,
    end_of_connection,
    ended,
    failed,
    stream_error,
    verdict,
)

HUGE = str((1 << 63) - 1)


def mismatch(code, body=b"", **more):
    more.setdefault("why", DELIVERED)
    more.setdefault("status", 200)
    return failed("LENGTH_MISMATCH", code, body=body, **more)


SHORT = {
    "nothing-by-head": ([], True),
    "nothing-by-empty-data": ([b""], False),
    "one-octet-less": ([b"123456789"], False),
    "in-pieces": ([b"123", b"", b"456"], False),
}


@pytest.mark.parametrize("pieces, by_head", SHORT.values(), ids=SHORT.keys())
@pytest.mark.parametrize("length", ["10", HUGE])
def test_36_less_than_announced(client, serve, pieces, by_head, length):
    """Lost octets are a failure, not a short success. max_size is out of the way."""

    def act(peer, request):
        peer.headers(request.stream, 200, [("content-length", length)], end=by_head)
        for index, piece in enumerate(pieces):
            peer.force_data(request.stream, piece, end=index == len(pieces) - 1)

    result = among_neighbours(client, serve, act, max_size=0)
    # A head that ends its stream and announces a body contradicts itself: it is not delivered.
    more = {"status": 0, "why": FINAL} if by_head else {}
    assert verdict(result) == mismatch("LENGTH_SHORT", b"".join(pieces), **more)
    assert length in result.texts and f"only {len(b''.join(pieces))} came" in result.texts


LONG = {
    "at-once": ("4", [b"12345"], b""),
    "later": ("4", [b"1234", b"5"], b"1234"),
    "of-nothing": ("0", [b"1"], b""),
    "by-a-lot": ("4", [b"12", b"3" * 16_000], b"12"),
    "in-pieces": ("2", [b"1", b"", b"2", b"3"], b"12"),
}


@pytest.mark.parametrize("length, pieces, body", LONG.values(), ids=LONG.keys())
@pytest.mark.parametrize("end", [True, False])
def test_36_more_than_announced(client, serve, length, pieces, body, end):
    """Nothing of the frame that goes over is delivered."""

    def act(peer, request):
        peer.headers(request.stream, 200, [("content-length", length)])
        for index, piece in enumerate(pieces):
            peer.force_data(request.stream, piece, end=end and index == len(pieces) - 1)

    assert verdict(among_neighbours(client, serve, act)) == mismatch("LENGTH_LONG", body)


@pytest.mark.parametrize("length", ["0", "5"])
@pytest.mark.parametrize("pad", [None, 0, 255])
def test_36_exactly_what_was_announced(client, serve, length, pad):
    """33: padding is no body."""
    body = b"x" * int(length)

    def act(peer, request):
        peer.headers(request.stream, 200, [("content-length", length)])
        peer.data(request.stream, body, end=True, pad=pad)

    assert verdict(among_neighbours(client, serve, act)) == ended(body)


BAD = {
    "letters": "abc",
    "empty": "",
    "negative": "-1",
    "signed": "+5",
    "fraction": "5.0",
    "exponent": "5e0",
    "hexadecimal": "0x5",
    "blank-inside": "5 5",
    "list": "5, 5",
    "lists": "5,6",
    "two-to-the-63": str(1 << 63),
    "two-to-the-64-and-5": str((1 << 64) + 5),
    "endless": "9" * 1000,
}


@pytest.mark.parametrize("end", [True, False], ids=["end", "open"])
@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
def test_36_content_length_that_is_no_number(client, serve, value, end):
    """The stream's fault, and not a length of five."""

    def act(peer, request):
        peer.block_frames(request.stream, literal(":status", "200") + literal("content-length", value), end)
        if not end:
            peer.force_data(request.stream, b"12345", end=True)

    assert verdict(among_neighbours(client, serve, act)) == stream_error()


@pytest.mark.parametrize("values", [("5", "5"), ("5", "6"), ("6", "5"), ("5", "x")], ids="-".join)
def test_36_content_length_twice(client, serve, values):
    """Even if they agree: HTTP/2 has no reason to repeat it, and somebody in between may believe the other one."""

    def act(peer, request):
        fields = b"".join(literal("content-length", value) for value in values)
        peer.block_frames(request.stream, literal(":status", "200") + fields)
        peer.force_data(request.stream, b"12345", end=True)

    result = among_neighbours(client, serve, act)
    assert result.reason in ("PROTOCOL_ERROR", "LENGTH_MISMATCH") and not result.body and not result.head, result
    assert verdict(result) == stream_error()


@pytest.mark.parametrize("status, method", [(204, "GET"), (304, "GET"), (200, "HEAD"), (404, "HEAD")])
@pytest.mark.parametrize("length", [None, "0", "10", HUGE])
def test_35_no_body_whatever_is_announced(client, serve, status, method, length):
    def act(peer, request):
        peer.headers(request.stream, status, [("content-length", length)] if length else [], end=True)

    result = among_neighbours(client, serve, act, method=method, max_size=5)
    if status == 204 and length not in (None, "0"):
        # Content-Length must not be there at all (RFC 9110, section 8.6); a zero is let pass.
        assert verdict(result) == stream_error()
    else:
        assert verdict(result) == ended(b"", status)


@pytest.mark.parametrize("status, method", [(204, "GET"), (304, "GET"), (200, "HEAD")])
@pytest.mark.parametrize("body", [b"", b"x"])
def test_35_data_where_there_is_no_body(client, serve, status, method, body):
    """An empty frame does no harm."""

    def act(peer, request):
        peer.headers(request.stream, status)
        peer.force_data(request.stream, body, end=True)

    result = among_neighbours(client, serve, act, method=method)
    if body:
        assert verdict(result) == stream_error(status=status, why=DELIVERED)
        assert "sent a body in answer to" in result.texts
    else:
        assert verdict(result) == ended(b"", status)


def test_35_malformed_end_of_a_response_to_head(client, serve):
    """Its length is not what is missing."""

    def act(peer, request):
        peer.headers(request.stream, 200, [("content-length", "10")])
        peer.trailers(request.stream, [(":x", "1")])

    result = among_neighbours(client, serve, act, method="HEAD")
    assert verdict(result) == stream_error(status=200, why=DELIVERED)


# ---- DATA frames


PADDINGS = {
    "one-too-long": b"\x05abcd",
    "longer-than-the-frame": b"\xffabcd",
    "no-length": b"",
}


@pytest.mark.parametrize("payload", PADDINGS.values(), ids=PADDINGS.keys())
def test_17_padding_that_does_not_fit(client, serve, payload):
    """RFC 9113, section 6.1: padding as long as the payload, or longer, is a connection error."""

    def act(peer, request):
        peer.headers(request.stream, 200)
        peer.frame(DATA, PADDED | END_STREAM, request.stream, payload)

    assert verdict(end_of_connection(client, serve, act)) == connection_error(status=200, why=DELIVERED)


def test_33_frames_that_are_all_padding(client, serve):
    """A thousand of them are no body, count for nothing, and use up no window for good."""

    def act(peer, request):
        peer.headers(request.stream, 200, [("content-length", "4")])
        for _ in range(1000):
            peer.data(request.stream, b"", pad=255)
        peer.data(request.stream, b"body", end=True, pad=255)

    result = among_neighbours(client, serve, act, max_size=4, warn_size=4)
    assert verdict(result) == ended(b"body")
    assert result.closed.bytes.payload == 4 and not result.of("warning")
