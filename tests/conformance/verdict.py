# SPDX-License-Identifier: MIT
"""How a job ended, in one comparable value, and the two stages on which a hostile origin acts: among neighbours on one
connection (its fault must stay its stream's), and as the end of a connection (the next job must not notice)."""

import dataclasses
import threading

from support.protocol import code_name, reason_name

# Why another try was safe or not: the words of the ledger.
DELIVERED = (False, "part of the response was delivered")
FINAL = (False, "this outcome is final")
NOT_IDEMPOTENT = (False, "the method is not idempotent and may have been processed")
IDEMPOTENT = (True, "the method is idempotent and nothing was delivered")
UNPROCESSED = (True, "the origin did not process the request")
FORBIDDEN = (True, "safe, but the client does not allow replay")
USED_UP = (True, "safe, but job.max_attempts is used up")
MISDIRECTED = (True, "421: the origin did not process the request")
NOTHING_SENT = (True, "nothing was sent")
OVER = (False, "the job was over")
DONE = (False, "")


@dataclasses.dataclass
class Verdict:
    """Everything that a client learns of an end, but for texts and times."""

    reason: str
    codes: tuple = ()
    h2: tuple = ()
    body: bytes = b""
    status: int = 0
    # One (outcome, safe, why) for each attempt.
    ledger: tuple = ()


def verdict(result):
    closed = result.closed
    return Verdict(
        reason=result.reason,
        codes=tuple(result.codes),
        h2=tuple(failure.h2_code for failure in closed.failures if failure.WhichOneof("opt_h2_code")),
        body=result.body,
        status=result.head.status if result.head else 0,
        ledger=tuple((reason_name(one.outcome), one.replay_safe, one.why) for one in closed.attempts),
    )


def ended(body=b"fine", status=200, before=()):
    """A success, after these other attempts."""
    return Verdict("ENDED", body=body, status=status, ledger=(*before, ("ENDED", *DONE)))


def failed(reason, *codes, h2=(), body=b"", status=0, why=FINAL, before=()):
    """A failure on the last attempt."""
    h2 = h2 if isinstance(h2, tuple) else (h2,)
    return Verdict(reason, codes, h2, body, status, (*before, (reason, *why)))


def stream_error(code=1, **more):
    """The peer broke HTTP/2 on the stream."""
    return failed("PROTOCOL_ERROR", "H2_STREAM_ERROR", h2=code, **more)


def connection_error(code=1, **more):
    return failed("PROTOCOL_ERROR", "H2_CONNECTION_ERROR", h2=code, **more)


def codes_of(result):
    """Each attempt's failure code."""
    return [code_name(attempt.code) for attempt in result.closed.attempts]


def among_neighbours(client, serve, act, settings=(), **submit):
    """`act(peer, request)` does it to one stream while two others are on the same connection: one mid-body, one that has
    no answer yet. Both finish, the connection is used again, and there never was another one. Returns the result of the
    one."""
    over = threading.Event()
    seen = {}

    def script(peer):
        first, victim, last = peer.request("/first"), peer.request("/victim", whole=False), peer.request("/last")
        seen.update(first=first.stream, victim=victim.stream, last=last.stream)
        peer.headers(first.stream, 200, [("content-length", "8")])
        peer.data(first.stream, b"abcd")
        act(peer, victim)
        peer.until_set(over)
        peer.barrier()
        peer.data(first.stream, b"efgh", end=True)
        peer.respond(last.stream, body=b"last")
        peer.answer_all()

    server = serve(script, settings=settings)
    submit.setdefault("replay_allowed", False)
    first = client.submit(server.url("/first"), replay_allowed=False)
    number = client.submit(server.url("/victim"), **submit)
    last = client.submit(server.url("/last"), method="POST", replay_allowed=False)
    result = client.finish(number)
    assert result.closed.attempts[0].stream == seen["victim"]
    # Whatever the peer does to a stream that is over is over too before the neighbours go on.
    over.set()
    assert verdict(client.finish(first)) == ended(b"abcdefgh")
    assert verdict(client.finish(last)) == ended(b"last")
    next_one = client.fetch(server.url("/next"), replay_allowed=False)
    assert verdict(next_one) == ended()
    assert next_one.closed.attempts[0].connection == result.closed.attempts[0].connection
    assert server.accepted == 1
    return result


def end_of_connection(client, serve, act, neighbour="same", settings=(), **submit):
    """`act(peer, request)` does what ends the connection while another stream is mid-body on it. That one ends by the same
    cause, with what it has; the next job is served on a new connection. Returns the result of the one."""
    ready = threading.Event()

    def script(peer):
        if peer.number > 1:
            peer.answer_all()
        other, victim = peer.request("/other"), peer.request("/victim", whole=False)
        peer.headers(other.stream, 200, [("content-length", "8")])
        peer.data(other.stream, b"abcd")
        peer.until_set(ready)
        act(peer, victim)
        peer.idle()

    server = serve(script, settings=settings)
    submit.setdefault("replay_allowed", False)
    other = client.submit(server.url("/other"), replay_allowed=False)
    number = client.submit(server.url("/victim"), **submit)
    client.wait_received(other, 4)
    ready.set()
    result, beside = client.finish(number, other)
    assert beside.body == b"abcd", beside
    if neighbour == "same":
        assert (beside.reason, beside.codes) == (result.reason, result.codes), (beside, result)
        assert beside.closed.attempts[0].why == DELIVERED[1]
    next_one = client.fetch(server.url("/next"), replay_allowed=False)
    assert verdict(next_one) == ended()
    assert next_one.closed.attempts[0].connection != result.closed.attempts[0].connection
    assert server.accepted == 2
    return result
