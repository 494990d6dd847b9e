# SPDX-License-Identifier: MIT
"""Fixtures. The daemon is per test; certificates, documents, names and the real origins are shared, for they keep no
state that a test could spoil."""

import contextlib
import pathlib
import tempfile

import pytest

from support.certs import Certificates
from support.daemon import Daemon
from support.dns import NameServer
from support.h2_server import H2Server
from support.origins import Apache, Caddy, Documents, H2o, Nghttpd, Nginx


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def documents():
    # pytest's own folders are for their owner only, and Apache runs as somebody else.
    with tempfile.TemporaryDirectory(prefix="fetchd-documents-") as folder:
        yield Documents(pathlib.Path(folder))


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


@pytest.fixture(scope="session")
def h2o(tmp_path_factory, certificates, documents):
    with H2o(tmp_path_factory.mktemp("h2o"), certificates.good, documents) as server:
        yield server


@pytest.fixture(scope="session")
def apache(tmp_path_factory, certificates, documents):
    with Apache(tmp_path_factory.mktemp("apache"), certificates.good, documents) as server:
        yield server


@pytest.fixture(scope="session")
def caddy(tmp_path_factory, certificates, documents):
    with Caddy(tmp_path_factory.mktemp("caddy"), certificates.good, documents) as server:
        yield server


@pytest.fixture(params=["nghttpd", "nginx", "h2o", "apache", "caddy"])
def every_origin(request):
    """Each of the real servers in turn: for what a server's own habits may change."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["nghttpd", "nginx"])
def origin(request):
    """The simplest server and the commonest."""
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
