# SPDX-License-Identifier: MIT
"""One daemon for the whole suite, so that whatever one hostile origin leaves behind meets the next test; after each test it
must be idle and its counters must add up. The other fixtures are in tests/support."""

import contextlib
import signal

import pytest

from peer import Hostile
from support import process
from support.daemon import Daemon

pytest_plugins = ["support.fixtures"]


def assert_counters(daemon):
    """Every job that came in went out by exactly one reason."""
    jobs = daemon.stats().jobs
    assert jobs.submitted == sum(one.count for one in jobs.closed), jobs


class House:
    """Daemons by their settings, started when first asked for."""

    def __init__(self, folder, settings):
        self.folder = folder
        self.settings = settings
        self.daemons = {}
        self.count = 0

    def get(self, more):
        key = tuple(sorted(more.items()))
        if key not in self.daemons:
            self.count += 1
            daemon = Daemon(self.folder / f"daemon{self.count}", {**self.settings, **more})
            self.daemons[key] = daemon.start()
        return self.daemons[key]

    def check(self, daemon):
        """After a test. One that failed it is not met again."""
        try:
            assert daemon.process.poll() is None, "fetchd has died"
            daemon.assert_idle()
            assert_counters(daemon)
        except BaseException:
            self.drop(daemon)
            print(f"---- log of {daemon.folder.name}\n{daemon.log()[-8000:]}")
            raise

    def drop(self, daemon):
        process.stop(daemon.process, signal.SIGKILL)
        self.daemons = {key: other for key, other in self.daemons.items() if other is not daemon}

    def close(self):
        with contextlib.ExitStack() as stack:
            for daemon in self.daemons.values():
                stack.callback(daemon.finish)


@pytest.fixture(scope="session")
def house(tmp_path_factory, certificates, nameserver):
    settings = {"tls.ca_file": certificates.ca, "dns.servers": nameserver.address}
    home = House(tmp_path_factory.mktemp("house"), settings)
    yield home
    home.close()


@pytest.fixture
def settled(house):
    """settled({"http.max_headers": "20"}) is a daemon with these settings, shared with other tests that want the same."""
    with contextlib.ExitStack() as stack:

        def get(more=None):
            daemon = house.get(dict(more or {}))
            stack.callback(house.check, daemon)
            return daemon

        yield get


@pytest.fixture
def daemon(settled):
    return settled()


@pytest.fixture
def client(daemon):
    with daemon.client() as connection:
        yield connection


@pytest.fixture
def serve(certificates):
    """serve(script, ...) starts an origin of peer.py; closed at the end."""
    with contextlib.ExitStack() as stack:

        def start(script, pair=certificates.good, **options):
            return stack.enter_context(Hostile(pair, script, **options))

        yield start
