# SPDX-License-Identifier: MIT
"""Certificates made on the spot with certtool: two authorities, and good, expired and misnamed servers."""

import pathlib
import subprocess

# Every name that the tests' own DNS resolves to this machine and that the good certificate covers.
NAMES = (
    "localhost",
    "good.test",
    "other.test",
    "dual.test",
    "v4.test",
    "v6.test",
    "many.test",
    "xn--bcher-kva.test",
)
ADDRESSES = ("127.0.0.1", "::1")


class Pair:
    """A private key and its certificate, as files."""

    def __init__(self, folder, name):
        self.key = folder / f"{name}.key"
        self.certificate = folder / f"{name}.pem"


def _certtool(*arguments):
    done = subprocess.run(
        ["certtool", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.folder = folder
        self.pair = Pair(folder, name)
        self.name = name
        template = folder / f"{name}.cfg"
        template.write_text(
            f'cn = "fetchd test authority {name}"\nca\ncert_signing_key\nexpiration_days = 3\n', encoding="ascii"
        )
        _certtool("--generate-privkey", "--key-type=ecdsa", "--outfile", self.pair.key)
        _certtool(
            "--generate-self-signed",
            "--load-privkey", self.pair.key,
            "--template", template,
            "--outfile", self.pair.certificate,
        )  # fmt: skip

    def issue(self, name, dns_names=NAMES, addresses=ADDRESSES, expired=False):
        """A server certificate for these names."""
        pair = Pair(self.folder, f"{self.name}-{name}")
        lines = [f'cn = "{name}"', "tls_www_server", "signing_key"]
        lines += [f'dns_name = "{dns}"' for dns in dns_names]
        lines += [f'ip_address = "{address}"' for address in addresses]
        if expired:
            lines += ['activation_date = "2001-01-01 00:00:00"', 'expiration_date = "2001-02-01 00:00:00"']
        else:
            lines += ["expiration_days = 2"]
        template = self.folder / f"{self.name}-{name}.cfg"
        template.write_text("\n".join(lines) + "\n", encoding="ascii")
        _certtool("--generate-privkey", "--key-type=ecdsa", "--outfile", pair.key)
        _certtool(
            "--generate-certificate",
            "--load-privkey", pair.key,
            "--load-ca-certificate", self.pair.certificate,
            "--load-ca-privkey", self.pair.key,
            "--template", template,
            "--outfile", pair.certificate,
        )  # fmt: skip
        return pair


class Certificates:
    """All that the tests need; `ca` is the authority that the daemon trusts."""

    def __init__(self, folder: pathlib.Path):
        self.authority = Authority(folder, "trusted")
        stranger = Authority(folder, "stranger")
        self.ca = self.authority.pair.certificate
        self.good = self.authority.issue("good")
        self.expired = self.authority.issue("expired", expired=True)
        self.misnamed = self.authority.issue("misnamed", dns_names=("elsewhere.test",), addresses=())
        self.untrusted = stranger.issue("good")
