# SPDX-License-Identifier: MIT
"""Redirections: who is sent where with what, and what of it is told."""

import pytest

from support.h2_server import answer_all

SECRETS = [("authorization", "Basic c2VjcmV0"), ("proxy-authorization", "Basic eA=="), ("cookie", "a=b"), ("x-mine", "1")]


def lead(ways, status=302):
    """Answers each path in `ways` with a redirection to where it says, everything else with the path."""

    def respond(connection, request):
        path = request.get(b":path")[0].decode()
        if path in ways:
            way = ways[path]
            code, location = way if isinstance(way, tuple) else (status, way)
            connection.respond(request.stream, code, [("location", location)], b"elsewhere\n")
        else:
            connection.respond(request.stream, 200, body=f"{path}\n".encode())

    return answer_all(respond)


def names(request):
    return {name.decode() for name, _ in request.headers}


def method(request):
    return request.get(b":method")[0].decode()


def test_redirect_is_followed_when_asked(client, serve):
    server = serve(lead({"/a/b?c": "d?e#f"}))
    result = client.fetch(server.url("/a/b?c#g"), max_redirects=5)
    assert result.reason == "ENDED" and result.body == b"/a/d?e\n", result
    assert result.head.status == 200 and result.head.url == server.url("/a/d?e")
    first, second = result.closed.attempts
    assert (first.status, first.why, first.url) == (302, "redirected", "")
    assert (second.status, second.url) == (200, server.url("/a/d?e"))
    assert result.closed.bytes.delivered == len(result.body)


def test_redirect_is_delivered_when_not_asked(client, serve):
    server = serve(lead({"/": "/b"}))
    result = client.fetch(server.url())
    assert result.reason == "ENDED" and result.head.status == 302 and result.body == b"elsewhere\n", result
    assert result.header(b"location") == [b"/b"] and result.head.url == ""
    assert len(server.requests) == 1


def test_redirect_never_if_the_administrator_says_so(start_daemon, serve):
    server = serve(lead({"/": "/b"}))
    with start_daemon({"job.max_redirects": "0"}).client() as client:
        assert client.fetch(server.url(), max_redirects=5).head.status == 302


@pytest.mark.parametrize(
    "status, before, after, keeps",
    [
        (301, "POST", "GET", False),
        (302, "POST", "GET", False),
        (303, "POST", "GET", False),
        (307, "POST", "POST", True),
        (308, "POST", "POST", True),
        (301, "PUT", "PUT", True),
        (302, "PUT", "PUT", True),
        (303, "PUT", "GET", False),
        (303, "DELETE", "GET", False),
    ],
)
def test_redirect_method_and_body(client, serve, status, before, after, keeps):
    server = serve(lead({"/": "/b"}, status))
    fields = [("content-type", "text/plain"), ("content-encoding", "identity"), ("x-mine", "1")]
    result = client.fetch(server.url(), fields, method=before, body=b"the body", max_redirects=1)
    assert result.reason == "ENDED" and result.body == b"/b\n", result
    second = server.wait_requests(2)[1]
    assert method(second) == after and second.body == (b"the body" if keeps else b"")
    described = names(second) & {"content-type", "content-encoding", "content-length"}
    assert len(described) == (3 if keeps else 0)
    assert "x-mine" in names(second)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_head_stays_head(client, serve, status):
    def respond(connection, request):
        last = request.get(b":path") == [b"/b"]
        connection.headers(request.stream, 200 if last else status, [] if last else [("location", "/b")], end=True)

    server = serve(answer_all(respond))
    result = client.fetch(server.url(), method="HEAD", max_redirects=1)
    assert result.reason == "ENDED" and result.head.status == 200, result
    assert [method(request) for request in server.wait_requests(2)] == ["HEAD", "HEAD"]


def test_redirect_leaves_secrets_behind(client, serve):
    """To another origin, be it only another port, and for good."""
    ways, back = {"/same": "/out"}, {}
    first, second = serve(lead(ways)), serve(lead(back))
    ways["/out"] = second.url("/there")
    back["/there"] = first.url("/back")
    result = client.fetch(first.url("/same"), SECRETS, max_redirects=5)
    assert result.reason == "ENDED" and result.body == b"/back\n" and result.head.url == first.url("/back"), result
    secrets = {"authorization", "proxy-authorization", "cookie"}
    same, out, again = first.wait_requests(3)
    (there,) = second.wait_requests(1)
    assert names(same) & secrets == secrets == names(out) & secrets
    assert not names(there) & secrets and not names(again) & secrets
    assert "x-mine" in names(there) and "x-mine" in names(again)
    assert there.get(b":authority")[0].decode() == f"localhost:{second.port}"


def test_redirect_limit(start_daemon, serve):
    server = serve(lead({"/": "/"}))
    with start_daemon({"job.max_redirects": "3"}).client() as client:
        for asked, followed in ((2, 2), (100, 3)):
            result = client.fetch(server.url(), max_redirects=asked)
            assert result.reason == "DENIED" and result.codes == ["TOO_MANY_REDIRECTS"], result
            assert result.kinds == ["accepted", "closed"]
            assert [attempt.status for attempt in result.closed.attempts] == [302] * (followed + 1)


@pytest.mark.parametrize("most", [14, 10])
def test_redirect_as_far_as_allowed(start_daemon, serve, most):
    server = serve(lead({f"/{step}": f"/{step + 1}" for step in range(most)}))
    with start_daemon({"job.max_redirects": most, "job.max_attempts": 1}).client() as client:
        result = client.fetch(server.url("/0"), max_redirects=most)
        assert result.reason == "ENDED" and result.body == f"/{most}\n".encode(), result
        assert len(result.closed.attempts) == most + 1


@pytest.mark.parametrize(
    "location, cause",
    [
        ("ftp://localhost/", "URL_SCHEME"),
        ("javascript:alert(1)", "URL_SCHEME"),
        ("https://", "URL_HOST"),
        ("https://me:hunter2@localhost/", "URL_USERINFO"),
        ("/a b", "URL_INVALID"),
        ("https://localhost:99999/", "URL_INVALID"),
        ("/\u00e9".encode("latin-1"), "URL_INVALID"),
    ],
)
def test_redirect_to_nowhere(daemon, serve, location, cause):
    server = serve(lead({"/": location}))
    with daemon.client() as client:
        result = client.fetch(server.url(), max_redirects=5)
    assert result.reason == "DENIED" and result.codes == ["REDIRECT_INVALID", cause], result
    assert result.head is None and result.body == b""
    assert "hunter2" not in result.texts
    assert result.closed.attempts[0].status == 302


def test_redirect_with_two_locations(client, serve):
    fields = [("location", "/b"), ("location", "/b")]
    server = serve(answer_all(lambda connection, request: connection.respond(request.stream, 302, fields)))
    result = client.fetch(server.url(), max_redirects=5)
    assert result.reason == "DENIED" and result.codes == ["REDIRECT_INVALID"], result


def test_redirect_location_is_not_logged(start_daemon, serve):
    server = serve(lead({"/": "/bad location?token=hunter2"}))
    daemon = start_daemon(log_level="debug")
    with daemon.client() as client:
        assert client.fetch(server.url(), max_redirects=5).reason == "DENIED"
    assert daemon.wait_log("REDIRECT_INVALID")
    assert "hunter2" not in daemon.log()


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("allowed", ["", "127.0.0.1"])
def test_redirect_from_https_to_http(start_daemon, serve, asked, allowed):
    plain = serve(lead({}), pair=None, tls=False)
    server = serve(lead({"/": plain.url("/plain", host="127.0.0.1")}))
    with start_daemon({"pool.h2c_hosts": allowed}).client() as client:
        result = client.fetch(server.url(), SECRETS, max_redirects=5, redirect_to_cleartext=asked)
        if asked and allowed:
            assert result.reason == "ENDED" and result.body == b"/plain\n", result
            assert "cookie" not in names(plain.wait_requests(1)[0])
        else:
            assert result.reason == "DENIED" and result.codes[0] == "REDIRECT_CLEARTEXT", result
            assert (result.codes[1:] == ["CLEARTEXT_NOT_ALLOWED"]) == asked
            assert plain.accepted == 0


@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_redirect_is_not_every_3xx(client, serve, status):
    def respond(connection, request):
        connection.headers(request.stream, status, [("location", "/b")], end=True)

    result = client.fetch(serve(answer_all(respond)).url(), max_redirects=5)
    assert result.reason == "ENDED" and result.head.status == status, result


def test_redirect_without_location_is_delivered(client, serve):
    server = serve(answer_all(lambda connection, request: connection.respond(request.stream, 302, body=b"where to?\n")))
    result = client.fetch(server.url(), max_redirects=5)
    assert result.reason == "ENDED" and result.head.status == 302 and result.body == b"where to?\n", result


def test_redirect_body_is_given_up(client, serve):
    """A response that leads on and never ends holds nobody up, and leaves nothing behind."""

    def script(connection):
        first = connection.request()
        connection.headers(first.stream, 302, [("location", "/b")])
        connection.data(first.stream, b"x" * 30_000)
        second = connection.request()
        connection.respond(second.stream, 200, body=b"here\n")
        connection.wait_reset(first.stream)
        connection.idle()

    result = client.fetch(serve(script).url(), max_redirects=1, max_size=1000)
    assert result.reason == "ENDED" and result.body == b"here\n", result


def test_redirect_tries_within_a_hop(client, serve):
    """What is sent again is what the last redirection asked for."""

    def script(connection):
        count = 0
        while True:
            request = connection.request()
            count += 1
            if count == 1:
                connection.respond(request.stream, 307, [("location", "/b")])
            elif count == 2:
                connection.reset(request.stream, 7)  # REFUSED_STREAM
            else:
                connection.respond(request.stream, 200, body=request.get(b":path")[0])

    result = client.fetch(serve(script).url(), method="POST", body=b"again", max_redirects=1)
    assert result.reason == "ENDED" and result.body == b"/b", result
    assert [attempt.url != "" for attempt in result.closed.attempts] == [False, True, True]


def test_redirect_of_a_long_url(client, serve):
    target = "/" + "x" * 6000
    server = serve(lead({"/": target}))
    result = client.fetch(server.url(), max_redirects=1)
    assert result.reason == "ENDED", result
    assert result.head.url == server.url(target)
    assert result.closed.attempts[1].url == server.url(target)[:512]


def test_redirect_list_names_the_submitted_url(client, serve):
    def script(connection):
        connection.respond(connection.request().stream, 302, [("location", "/b")])
        connection.request()
        connection.server.note("second")
        connection.idle()

    server = serve(script)
    number = client.submit(server.url("/a"), max_redirects=1)
    server.wait_requests(3)
    (job,) = client.list().jobs
    assert job.url == server.url("/a") and job.attempts == 2
    client.cancel(number)
    assert client.finish(number).reason == "CANCELLED"
