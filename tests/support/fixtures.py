# SPDX-License-Identifier: MIT
"""Fixtures. The daemon is per test; certificates, documents, names and the real origins are shared, for they keep no
state that a test could spoil."""

import contextlib

import pytest

from support.certs import Certificates
from support.daemon import Daemon
from support.dns import NameServer
from support.h2_server import H2Server
from support.origins import Documents, Nghttpd, Nginx


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def documents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    # pytest's folders are for their owner only; servers may run as somebody else.
    return Documents(folder)


@pytest.fixture(scope="session")
def nameserver(tmp_path_factory):
    with NameServer(tmp_path_factory.mktemp("dns")) as server:
        yield server


@pytest.fixture(scope="session")
def nghttpd(tmp_path_factory, certificates, documents):
    with Nghttpd(tmp_path_factory.mktemp("nghttpd"), certificates.good, documents) as server:
        yield server


@pytest.fixture(scope="session")
def nginx(tmp_path_factory, certificates, documents):
    with Nginx(tmp_path_factory.mktemp("nginx"), certificates.good, documents) as server:
        yield server


@pytest.fixture(params=["nghttpd", "nginx"])
def origin(request):
    """Each of the real servers in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def settings(certificates, nameserver):
    """The configuration that every test's daemon starts from."""
    return {"tls.ca_file": certificates.ca, "dns.servers": nameserver.address}


@pytest.fixture
def start_daemon(tmp_path, settings):
    """start_daemon({"pool.idle_timeout": "1 s"}, ...) starts one more daemon; all are stopped, and checked, at the end."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(more=None, **options):
            nonlocal count
            count += 1
            return stack.enter_context(Daemon(tmp_path / f"daemon{count}", {**settings, **(more or {})}, **options))

        yield start


@pytest.fixture
def daemon(start_daemon):
    return start_daemon()


@pytest.fixture
def client(daemon):
    with daemon.client() as connection:
        yield connection


@pytest.fixture
def serve(certificates):
    """serve(script, ...) starts a scripted origin with the good certificate; closed at the end."""
    with contextlib.ExitStack() as stack:

        def start(script, pair=certificates.good, **options):
            return stack.enter_context(H2Server(pair, script, **options))

        yield start
