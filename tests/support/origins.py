# SPDX-License-Identifier: MIT
"""Real HTTP/2 servers over TLS: nghttpd, nginx, h2o, Apache httpd and Caddy."""

import hashlib
import json
import os
import pathlib
import re
import subprocess

from support import process


class Documents:
    """A document root with files of several sizes, and what is in them."""

    SIZES = {"empty": 0, "one": 1, "small": 1024, "page": 100_000, "mid": 1 << 20, "large": 16 << 20}

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.sha256 = {}
        for name, size in self.SIZES.items():
            self.add(name, size)

    def add(self, name, size):
        """A file of that size whose every block differs. Returns its SHA-256."""
        digest = hashlib.sha256()
        with open(self.folder / name, "wb") as file:
            while size:
                block = os.urandom(min(size, 1 << 20))
                digest.update(block)
                file.write(block)
                size -= len(block)
        self.sha256[name] = digest.hexdigest()
        return digest.hexdigest()

    def read(self, name):
        return (self.folder / name).read_bytes()


class Origin:
    """What the servers have in common. `settings` are the server's own options."""

    def __init__(self, folder, pair, documents, host="127.0.0.1", port=0, **settings):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pair = pair
        self.documents = documents
        self.host = host
        self.port = port or process.free_port(host)
        self.settings = settings
        self.process = None
        self.log_path = self.folder / f"{type(self).__name__}-{self.port}.log"

    def url(self, path="/", host=None):
        host = host or ("[::1]" if ":" in self.host else "localhost")
        return f"https://{host}:{self.port}{path}"

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        with open(self.log_path, "wb") as log:
            self.process = process.start(self.command(), stdout=log, stderr=subprocess.STDOUT)
        process.until(
            lambda: process.accepts(self.port, self.host) or self.process.poll() is not None, "the origin to listen"
        )
        assert self.process.poll() is None, self.log()
        return self

    def __exit__(self, *_):
        process.stop(self.process)

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")


class Nghttpd(Origin):
    def command(self):
        arguments = ["nghttpd", "-a", self.host, "-d", self.documents.folder]
        if self.settings.get("verbose"):
            arguments.append("-v")
        for name in ("trailer", "padding", "max_concurrent_streams"):
            if name in self.settings:
                arguments.append(f"--{name.replace('_', '-')}={self.settings[name]}")
        if self.settings.get("no_content_length"):
            arguments.append("--no-content-length")
        if self.settings.get("echo_upload"):
            arguments.append("--echo-upload")
        return [*arguments, self.port, self.pair.key, self.pair.certificate]


class Nginx(Origin):
    def command(self):
        config = self.folder / f"nginx-{self.port}.conf"
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        self.access_log.touch()
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = "user root;" if os.geteuid() == 0 else ""
        paths = "\n".join(
            f"    {kind}_temp_path {temporary};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )  # fmt: skip
        config.write_text(
            f"""
{user}
daemon off;
worker_processes 1;
pid {self.folder / "nginx.pid"};
error_log stderr notice;
events {{ worker_connections 512; }}
http {{
{paths}
    default_type application/octet-stream;
    log_format evidence '$connection $ssl_session_reused $ssl_protocol $status "$request" "$http_host"';
    access_log {self.access_log} evidence;
    keepalive_requests {self.settings.get("keepalive_requests", 1000000)};
    http2_max_concurrent_streams {self.settings.get("max_concurrent_streams", 128)};
    client_max_body_size 1m;
    server {{
        listen {host}:{self.port} ssl {self.settings.get("http2", "http2")};
        server_name localhost;
        ssl_certificate {self.pair.certificate};
        ssl_certificate_key {self.pair.key};
        ssl_protocols {self.settings.get("protocols", "TLSv1.2 TLSv1.3")};
        root {self.documents.folder};
        location = /moved {{ return 301 https://elsewhere.test/; }}
        location = /nothing {{ return 204; }}
        location = /early {{ return 200 "early"; }}
        location = /misdirected {{ return 421; }}
    }}
}}
""",
            encoding="utf-8",
        )
        return ["nginx", "-e", "stderr", "-c", config, "-p", self.folder]

    @property
    def access_log(self):
        return self.folder / f"nginx-{self.port}.access"

    def requests(self):
        """(connection, was the TLS session reused?, protocol, status, request line, host) of every request served."""
        return re.findall(
            r'^(\d+) (\S+) (\S+) (\d+) "([^"]*)" "([^"]*)"$', self.access_log.read_text(encoding="utf-8"), re.MULTILINE
        )


class H2o(Origin):
    def command(self):
        config = self.folder / f"h2o-{self.port}.conf"
        user = "user: root\n" if os.geteuid() == 0 else ""
        config.write_text(
            f"""{user}num-threads: 1
pid-file: {self.folder / "h2o.pid"}
error-log: {self.folder / "h2o.err"}
http2-max-concurrent-requests-per-connection: {self.settings.get("max_concurrent_streams", 100)}
hosts:
  default:
    listen:
      host: "{self.host}"
      port: {self.port}
      ssl:
        certificate-file: {self.pair.certificate}
        key-file: {self.pair.key}
    paths:
      "/":
        file.dir: {self.documents.folder}
""",
            encoding="utf-8",
        )
        return ["h2o", "-m", "worker", "-c", config]


class Apache(Origin):
    MODULES = ("mpm_event", "authz_core", "ssl", "socache_shmcb", "http2")

    def command(self):
        config = self.folder / f"apache-{self.port}.conf"
        host = f"[{self.host}]" if ":" in self.host else self.host
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in self.MODULES)
        # It will not run as root unless it was built so; documents and key are for the tests' user alone.
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        config.write_text(
            f"""
ServerRoot {self.folder}
PidFile {self.folder / "apache.pid"}
DefaultRuntimeDir {self.folder}
{modules}
{user}
ServerName localhost
Listen {host}:{self.port}
ErrorLog /dev/stderr
LogLevel warn
Protocols h2
StartServers 1
H2MaxSessionStreams {self.settings.get("max_concurrent_streams", 100)}
DocumentRoot {self.documents.folder}
SSLEngine on
SSLCertificateFile {self.pair.certificate}
SSLCertificateKeyFile {self.pair.key}
<Directory {self.documents.folder}>
    Require all granted
</Directory>
""",
            encoding="utf-8",
        )
        return ["apache2", "-D", "FOREGROUND", "-f", config]


class Caddy(Origin):
    """Serves only the authorities that it is configured for."""

    def command(self):
        config = self.folder / f"caddy-{self.port}.json"
        server = {
            "listen": [f"{self.host}:{self.port}"],
            "automatic_https": {"disable": True},
            "protocols": ["h1", "h2"],
            "tls_connection_policies": [{}],
            "routes": [
                {
                    "match": [{"host": ["localhost", "good.test"]}],
                    "handle": [{"handler": "file_server", "root": str(self.documents.folder)}],
                },
                {"handle": [{"handler": "static_response", "status_code": 421}]},
            ],
        }
        config.write_text(
            json.dumps(
                {
                    "admin": {"disabled": True, "config": {"persist": False}},
                    "storage": {"module": "file_system", "root": str(self.folder / "caddy")},
                    "apps": {
                        "http": {"servers": {"origin": server}},
                        "tls": {
                            "certificates": {
                                "load_files": [
                                    {"certificate": str(self.pair.certificate), "key": str(self.pair.key)}
                                ]
                            }
                        },
                    },
                }
            ),
            encoding="utf-8",
        )
        return ["caddy", "run", "--config", config]
