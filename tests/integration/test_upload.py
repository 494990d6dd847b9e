# SPDX-License-Identifier: MIT
"""Request bodies that come in pieces (stream semantics, line 27): whole on the other side, under the daemon's credit and
the origin's windows, and what becomes of them when something goes wrong."""

import contextlib
import hashlib
import os
import threading

import h2.settings
import pytest
from h2.events import PingAckReceived

from support import cli, process
from support.h2_server import ErrorCodes, answer_all
from support.origins import Nghttpd
from support.protocol import Gone, pb

BUFFER = 256 * 1024  # ipc.upload_buffer
PIECE = 60_000
SIZES = [0, 1, 16384, 65535, 65536, BUFFER - 1, BUFFER, BUFFER + 1, 1 << 20]


@pytest.fixture(scope="module")
def echo(tmp_path_factory, certificates, documents):
    """Answers with the request's body."""
    with Nghttpd(tmp_path_factory.mktemp("echo"), certificates.good, documents, echo_upload=True) as server:
        yield server


def content(size):
    """Bytes of which every block differs."""
    seed = b"".join(hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(min(size, 1 << 20) // 32 + 1))
    return (seed * (size // len(seed) + 1))[:size]


def begin(client, url, length=None, method="PUT", **fields):
    return client.submit(url, method=method, upload=pb.Upload(length=length) if length is not None else pb.Upload(), **fields)


class Feeder:
    """Gives a job its body, as far as the daemon grants it."""

    def __init__(self, client, number, data):
        self.client, self.number, self.data = client, number, data
        self.sent = 0
        self.ended = False

    @property
    def granted(self):
        return sum(credit.bytes for credit in self.client.saw(self.number, "upload_credit"))

    @property
    def closed(self):
        return bool(self.client.saw(self.number, "closed"))

    def push(self):
        """What may be sent now."""
        while not self.ended and not self.closed:
            piece = self.data[self.sent : self.sent + min(PIECE, self.granted - self.sent)]
            end = self.sent + len(piece) == len(self.data)
            if not piece and not end:
                return
            self.client.upload(self.number, piece, end)
            self.sent += len(piece)
            self.ended = end

    def run(self, until=None):
        """Until all of it is sent, or so much, or the job is over."""
        while not self.ended and not self.closed and (until is None or self.sent < until):
            self.push()
            if not self.ended and not self.closed and (until is None or self.sent < until):
                self.client.read()
        return self


def upload(client, url, data, length=None, **fields):
    """A whole upload, to its end."""
    number = begin(client, url, length, **fields)
    Feeder(client, number, data).run()
    return client.finish(number)


# -- whole, and as it was sent


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("size", SIZES)
def test_27_comes_back_as_it_was_sent(client, echo, size, known):
    data = content(size)
    result = upload(client, echo.url("/"), data, size if known else None)
    assert result.reason == "ENDED" and result.head.status == 200, result
    assert len(result.body) == size and hashlib.sha256(result.body).digest() == hashlib.sha256(data).digest()
    assert result.closed.bytes.wire_sent >= size
