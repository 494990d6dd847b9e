# SPDX-License-Identifier: MIT
"""Response heads: what is malformed in each way ends that stream alone, what is only odd is delivered as it is; interim
responses, trailers, and header blocks that are too much."""

import pytest

from peer import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PRIORITISED, literal
from verdict import (
    DELIVERED,
    among_neighbours,
    connection_error,
    end_of_connection,
    ended,
    failed,
    stream_error,
    verdict,
)

OK = literal(":status", "200")


def block(*fields):
    return OK + b"".join(literal(*field) for field in fields)


MALFORMED = {
    "upper-case-name": block(("X-Upper", "1")),
    "empty-name": block(("", "1")),
    "blank-in-name": block(("x y", "1")),
    "colon-in-name": block(("x:y", "1")),
    "control-in-name": block(("x\x01", "1")),
    "nul-in-name": block((b"x\0y", "1")),
    "high-octet-in-name": block((b"x\xff", "1")),
    "newline-in-value": block(("x", "a\nb")),
    "return-in-value": block(("x", "a\r\nset-cookie: b")),
    "nul-in-value": block(("x", "a\0b")),
    "control-in-value": block(("x", "a\x01b")),
    "blank-before-value": block(("x", " a")),
    "blank-after-value": block(("x", "a ")),
    "connection": block(("connection", "close")),
    "keep-alive": block(("keep-alive", "1")),
    "proxy-connection": block(("proxy-connection", "1")),
    "transfer-encoding": block(("transfer-encoding", "chunked")),
    "upgrade": block(("upgrade", "h2c")),
    "te": block(("te", "gzip")),
    "no-status": literal("x", "1"),
    "no-fields": b"",
    "empty-status": literal(":status"),
    "two-digits": literal(":status", "20"),
    "four-digits": literal(":status", "2000"),
    "letters": literal(":status", "2xx"),
    "signed": literal(":status", "+20"),
    "status-0": literal(":status", "000"),
    "status-99": literal(":status", "099"),
    "status-twice": OK + OK,
    "two-statuses": OK + literal(":status", "404"),
    "status-after-fields": literal("x", "1") + OK,
    "request-pseudo": OK + literal(":path", "/"),
    "unknown-pseudo": OK + literal(":new", "1"),
    "pseudo-after-fields": block(("x", "1")) + literal(":new", "1"),
    "status-101": literal(":status", "101"),
}


@pytest.mark.parametrize("end", [True, False], ids=["end", "open"])
@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED.keys())
def test_17_malformed_head_ends_its_stream_alone(client, serve, octets, end):
    """RFC 9113, sections 8.1.1 and 8.2. It is no retry's business: the server would say it again."""

    def act(peer, request):
        peer.block_frames(request.stream, octets, end)

    assert verdict(among_neighbours(client, serve, act)) == stream_error()


@pytest.mark.parametrize(
    "octets",
    [
        block(("x", "")),
        block(("x", b"\x80\xff\tx")),
        block(("x", "1"), ("x", "1"), ("x", "2")),
        block(("set-cookie", "a=b"), ("set-cookie", "c=d")),
        block(("!#$%&'*+-.^_`|~09az", "token")),
        block(("trailer", "x"), ("host", "elsewhere")),
        block(("content-type", "nonsense;;"), ("date", "yesterday")),
    ],
    ids=["empty", "octets", "repeats", "cookies", "odd-name", "misplaced", "nonsense"],
)
def test_31_odd_heads_are_delivered_as_they_are(client, serve, octets):
    def act(peer, request):
        peer.block_frames(request.stream, octets, end=True)

    result = among_neighbours(client, serve, act)
    assert verdict(result) == ended(b"")
    assert OK + b"".join(literal(name, value) for name, value in result.headers) == octets


@pytest.mark.parametrize("status", [200, 299, 306, 404, 451, 500, 599, 600, 799, 999])
def test_31_each_final_status_is_a_response(client, serve, status):
    result = among_neighbours(client, serve, lambda peer, request: peer.respond(request.stream, status, body=b"body"))
    assert verdict(result) == ended(b"body", status)


# ---- interim responses


@pytest.mark.parametrize("count, served", [(32, True), (33, False), (3000, False)])
def test_23_interim_responses_are_bounded(client, serve, count, served):
    """http.max_informational is 32."""

    def act(peer, request):
        for _ in range(count):
            peer.headers(request.stream, 103, [("link", "</a>")])
        peer.respond(request.stream, body=b"final")

    result = among_neighbours(client, serve, act)
    if served:
        assert verdict(result) == ended(b"final")
    else:
        assert verdict(result) == failed("PROTOCOL_ERROR", "TOO_MANY_INFORMATIONAL")
    assert [event.status for event in result.of("informational")] == [103] * min(count, 32)


INTERIM = {
    "end-stream": lambda peer, stream: peer.headers(stream, 103, end=True),
    "empty-end": lambda peer, stream: (peer.headers(stream, 100), peer.force_data(stream, b"", end=True)),
    "data": lambda peer, stream: (peer.headers(stream, 103), peer.force_data(stream, b"body", end=True)),
    "101": lambda peer, stream: peer.headers(stream, 101, [("x", "websocket")]),
    "no-status": lambda peer, stream: (peer.headers(stream, 103), peer.trailers(stream, [("x", "1")])),
}


@pytest.mark.parametrize("how", INTERIM.values(), ids=INTERIM.keys())
def test_31_interim_response_that_is_the_end(client, serve, how):
    """One is never the last word (RFC 9110, section 15.2), and 101 never comes in HTTP/2 (RFC 9113, section 8.6)."""
    result = among_neighbours(client, serve, lambda peer, request: how(peer, request.stream))
    assert verdict(result) == stream_error()
    assert result.head is None


def test_31_each_interim_response_is_an_event(client, serve):
    def act(peer, request):
        for status in (100, 102, 103, 199):
            peer.headers(request.stream, status, [("x", str(status)), ("x", "again")])
        peer.respond(request.stream, body=b"final")

    result = among_neighbours(client, serve, act)
    assert verdict(result) == ended(b"final")
    events = result.of("informational")
    assert [event.status for event in events] == [100, 102, 103, 199]
    assert [[field.value for field in event.headers] for event in events] == [
        [str(status).encode(), b"again"] for status in (100, 102, 103, 199)
    ]
    assert result.kinds == ["accepted", *["informational"] * 4, "head", "body", "closed"]


# ---- trailers


TRAILERS = {
    "pseudo": literal(":status", "200"),
    "unknown-pseudo": literal(":x", "1"),
    "upper-case": literal("X", "1"),
    "bad-value": literal("x", "a\0"),
    "connection": literal("connection", "close"),
}


@pytest.mark.parametrize("octets", TRAILERS.values(), ids=TRAILERS.keys())
def test_17_malformed_trailers_end_their_stream_alone(client, serve, octets):
    """The body came whole, but not the response: its end cannot be believed."""

    def act(peer, request):
        peer.headers(request.stream, 200)
        peer.data(request.stream, b"body")
        peer.block_frames(request.stream, octets, end=True)

    result = among_neighbours(client, serve, act)
    assert verdict(result) == stream_error(body=b"body", status=200, why=DELIVERED)
    assert not result.of("trailers")


@pytest.mark.parametrize("body", [b"", b"body"])
def test_17_trailers_without_end_stream(client, serve, body):
    """A second head after the first (RFC 9113, section 8.1)."""

    def act(peer, request):
        peer.headers(request.stream, 200)
        if body:
            peer.data(request.stream, body)
        peer.trailers(request.stream, [("x", "1")], end=False)

    assert verdict(among_neighbours(client, serve, act)) == stream_error(body=body, status=200, why=DELIVERED)


@pytest.mark.parametrize("length", [None, "4"])
@pytest.mark.parametrize("fields", [[("x", "1"), ("x", "2")], [("set-cookie", "a")], []], ids=["two", "odd", "none"])
def test_31_trailers_are_an_event(client, serve, fields, length):
    def act(peer, request):
        peer.headers(request.stream, 200, [("content-length", length)] if length else [])
        peer.data(request.stream, b"body")
        peer.trailers(request.stream, fields)

    result = among_neighbours(client, serve, act)
    assert verdict(result) == ended(b"body")
    (trailers,) = result.of("trailers")
    assert [(field.name.decode(), field.value.decode()) for field in trailers.headers] == fields
    assert result.kinds[-2:] == ["trailers", "closed"]


@pytest.mark.parametrize("length, again", [("4", "4"), ("4", "99"), (None, "99"), (None, "x")])
def test_17_content_length_in_trailers(client, serve, length, again):
    """It has nothing to say any more (RFC 9110, section 6.5.1). It is refused, and not mistaken for the body's fault."""

    def act(peer, request):
        peer.headers(request.stream, 200, [("content-length", length)] if length else [])
        peer.data(request.stream, b"body")
        peer.trailers(request.stream, [("content-length", again)])

    assert verdict(among_neighbours(client, serve, act)) == stream_error(body=b"body", status=200, why=DELIVERED)


@pytest.mark.parametrize("sent, code", [(b"abc", "LENGTH_SHORT"), (b"abcde", "LENGTH_LONG")])
def test_36_trailers_after_a_body_of_another_length(client, serve, sent, code):
    def act(peer, request):
        peer.headers(request.stream, 200, [("content-length", "4")])
        peer.force_data(request.stream, sent)
        peer.trailers(request.stream, [("x", "1")])

    result = among_neighbours(client, serve, act)
    assert (result.reason, result.codes) == ("LENGTH_MISMATCH", [code]), result


# ---- blocks


def test_18_padding_and_priority_around_a_head(client, serve):
    """As much padding as fits, and the priority that RFC 9113 deprecates."""

    def act(peer, request):
        octets = peer.head(200, [("x", "1")])
        payload = b"\xff" + b"\x80\0\0\0\xff" + octets + bytes(255)
        peer.frame(HEADERS, END_HEADERS | PADDED | PRIORITISED, request.stream, payload)
        peer.data(request.stream, b"body", end=True, pad=255)

    assert verdict(among_neighbours(client, serve, act)) == ended(b"body")


@pytest.mark.parametrize("count", [1, 2, 8])
def test_18_head_in_continuations(client, serve, count):
    """Some may be empty, and fields are cut anywhere."""
    fields = [(f"x-{index}", "v" * 50) for index in range(20)]

    def act(peer, request):
        octets = b"".join([OK, *(literal(*field) for field in fields)])
        piece = len(octets) // (count - 1) + 1 if count > 1 else len(octets)
        peer.frame(HEADERS, END_STREAM, request.stream, b"")
        for index in range(count):
            last = END_HEADERS if index == count - 1 else 0
            peer.frame(CONTINUATION, last, request.stream, octets[index * piece : (index + 1) * piece])

    result = among_neighbours(client, serve, act)
    assert verdict(result) == ended(b"")
    assert [(name.decode(), value.decode()) for name, value in result.headers] == fields


def interleaved(kind, flags, own, payload=b""):
    def act(peer, request):
        peer.frame(HEADERS, 0, request.stream, OK)
        peer.frame(kind, flags, request.stream if own else 0, payload)

    return act


CONTINUATIONS = {
    "data": interleaved(DATA, 0, True, b"x"),
    "ping": interleaved(6, 0, False, b"x" * 8),
    "settings": interleaved(4, 0, False),
    "unknown": interleaved(0xEE, 0, True, b"x"),
    "headers-again": interleaved(HEADERS, END_HEADERS, True, OK),
    "other-stream": lambda peer, request: (
        peer.frame(HEADERS, 0, request.stream, OK),
        peer.frame(CONTINUATION, END_HEADERS, 1, b""),
    ),
    "stream-0": lambda peer, request: peer.frame(CONTINUATION, END_HEADERS, 0, OK),
    "of-nothing": lambda peer, request: peer.frame(CONTINUATION, END_HEADERS, request.stream, OK),
    "after-its-end": lambda peer, request: (
        peer.frame(HEADERS, END_HEADERS, request.stream, OK),
        peer.frame(CONTINUATION, END_HEADERS, request.stream, b""),
    ),
}


@pytest.mark.parametrize("act", CONTINUATIONS.values(), ids=CONTINUATIONS.keys())
def test_17_header_block_that_is_interrupted(client, serve, act):
    """RFC 9113, section 6.10: nothing may come between its frames, and CONTINUATION follows nothing else."""
    result = end_of_connection(client, serve, act, neighbour="any")
    assert (result.reason, result.codes) == ("PROTOCOL_ERROR", ["H2_CONNECTION_ERROR"]), result
    assert result.closed.failures[0].h2_code == 1


def test_23_endless_continuation(client, serve):
    """A block that never ends costs a bounded amount and ends the connection."""

    def act(peer, request):
        peer.frame(HEADERS, 0, request.stream, OK)
        while True:
            peer.frame(CONTINUATION, 0, request.stream, literal("x", "y" * 1000) * 16)

    result = end_of_connection(client, serve, act, neighbour="any")
    assert result.reason == "PROTOCOL_ERROR", result


@pytest.mark.parametrize("empty", [0, 1])
def test_23_endless_continuation_of_next_to_nothing(client, serve, empty):
    """Nor one whose frames carry nothing, or one octet."""

    def act(peer, request):
        peer.frame(HEADERS, 0, request.stream, OK)
        piece = b"\0\0\0\x09\0" + request.stream.to_bytes(4, "big")
        if empty == 0:
            piece = b"\0\0\1\x09\0" + request.stream.to_bytes(4, "big") + b"\x88"
        while True:
            peer.raw(piece * 1000)

    result = end_of_connection(client, serve, act, neighbour="any")
    assert result.reason == "PROTOCOL_ERROR", result


BOMBS = {
    "big-field": lambda peer: literal("x", "y" * 65_536),
    "many-fields": lambda peer: literal("x", "y") * 257,
    "many-empty-fields": lambda peer: literal("x") * 2100,
    "big-sum": lambda peer: literal("x", "y" * 1000) * 64,
    # One entry of the dynamic table, then references to it: a few octets on the wire, megabytes once decoded.
    "table-references": lambda peer: peer.encoder.encode([("x", "y" * 4000)]) + b"\xbe" * 4000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("where", ["head", "trailers"])
def test_23_header_bomb(client, serve, bomb, where):
    """http.max_header_list is 64 KiB, http.max_headers 256."""

    def act(peer, request):
        if where == "trailers":
            peer.headers(request.stream, 200)
            peer.block_frames(request.stream, bomb(peer), end=True)
        else:
            peer.block_frames(request.stream, OK + bomb(peer), end=True)

    more = {"status": 200, "why": DELIVERED} if where == "trailers" else {}
    result = among_neighbours(client, serve, act)
    assert verdict(result) == failed("PROTOCOL_ERROR", "HEADERS_TOO_LARGE", **more)


HPACK = {
    "index-0": b"\x80",
    "index-beyond": b"\xff\x40",
    "endless-integer": b"\xff" * 12,
    "string-beyond": b"\0\x7f\xff\x7f",
    "cut-short": b"\x00\x03abc\x05ab",
    "huffman-eos": b"\x00\x84\xff\xff\xff\xff\x01x",
    "huffman-padding": b"\x00\x81\x00\x01x",
    "table-too-large": b"\x3f\xe1\xff\x03\x88",
    "table-update-late": b"\x88\x20",
}


@pytest.mark.parametrize("octets", HPACK.values(), ids=HPACK.keys())
def test_17_hpack_garbage(client, serve, octets):
    """The tables of the two sides differ from now on: nothing on the connection can be read any more."""

    def act(peer, request):
        peer.frame(HEADERS, END_HEADERS, request.stream, octets)

    assert verdict(end_of_connection(client, serve, act)) == connection_error(9)


def test_17_hpack_state_survives_streams_that_were_cancelled(client, serve):
    """Header blocks for streams that are over are decoded all the same: they feed the table that others use."""
    heads = []

    def script(peer):
        streams = [peer.request(f"/{index}").stream for index in range(3)]
        peer.headers(streams[2], 200)
        peer.wait_reset(streams[0])
        for stream in streams:
            octets = peer.encoder.encode([(":status", "200"), ("x-table", "remembered")])
            heads.append(len(octets))
            if stream != streams[2]:
                peer.block_frames(stream, octets, end=True)
        peer.block_frames(streams[2], peer.encoder.encode([("x-table", "remembered")]), end=True)
        peer.answer_all()

    server = serve(script)
    numbers = [client.submit(server.url(f"/{index}")) for index in range(3)]
    client.wait(numbers[2], "head")
    client.cancel(numbers[0])
    results = client.finish(*numbers)
    assert [result.reason for result in results] == ["CANCELLED", "ENDED", "ENDED"], results
    assert results[1].header(b"x-table") == [b"remembered"]
    assert [(field.name, field.value) for field in results[2].of("trailers")[0].headers] == [(b"x-table", b"remembered")]
    assert heads[1] < heads[0], "the second head was written by reference"
    assert server.accepted == 1
