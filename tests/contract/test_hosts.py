"""The Host header on both adapters: which of the paths a request means, and headers that are none.

Sources: RFC 9112, section 3.2, and RFC 9110, section 7.2; Binance's "General information", for what each host serves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.served import Client, Served


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.close()


@pytest.fixture(params=["own", "asgi"])
def client(request: pytest.FixtureRequest, served: Served) -> Iterator[Client]:
    one = served.connect()
    if request.param == "asgi":
        assert one.ask(b"GET /console HTTP/1.1\r\nHost: x\r\n\r\n").status == 404
    yield one
    one.close()


def get(target: str, *hosts: str) -> bytes:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def path_asked(served: Served) -> str:
    return served.application.handled[-1].path.decode()


@pytest.mark.parametrize(
    "host", ["api.binance.com", "API.Binance.COM:443", "api.binance.com.", "api3.binance.com:8443"]
)
def test_a_host_of_the_exchange_serves_its_family_and_nothing_else(client: Client, served: Served, host: str) -> None:
    for _ in range(3):  # read, known by heart, and still so
        answer = client.ask(get("/api/v3/echo?a=1", host))
        assert (answer.status, json.loads(answer.body)["query"]) == (200, "a=1")
        for elsewhere in ("/fapi/v1/echo", "/ws", "/", "/console", "/healthz"):
            answer = client.ask(get(elsewhere, host))
            assert (answer.status, answer.headers["content-type"]) == (404, "application/json;charset=UTF-8")
            assert path_asked(served) == "/api" + elsewhere


def test_hosts_may_take_turns_on_one_connection(client: Client, served: Served) -> None:
    for host, path in (
        ("fapi.binance.com", "/fapi/api/v3/echo"),
        ("x", "/api/v3/echo"),
        ("api.binance.com", "/api/v3/echo"),
    ):
        answer = client.ask(get("/api/v3/echo", host))
        assert (answer.status, path_asked(served)) == (200 if path == "/api/v3/echo" else 404, path)


def test_pipelined_requests_each_go_to_their_host(client: Client, served: Served) -> None:
    hosts = ("dapi.binance.com", "api.binance.com", "fstream.binance.com")
    client.send(b"".join(get("/api/v3/echo", host) for host in hosts))
    assert [client.answer().status for _ in hosts] == [404, 200, 404]
    assert [one.path for one in served.application.handled[-3:]] == [
        b"/dapi/api/v3/echo",
        b"/api/v3/echo",
        b"/fstream/api/v3/echo",
    ]


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST", "a_service", "x." * 500]
)
def test_under_any_other_host_every_family_is_served(client: Client, host: str) -> None:
    assert client.ask(get("/api/v3/echo", host)).status == 200


def test_a_target_in_absolute_form_outdoes_the_header(served: Served) -> None:
    client = served.connect()
    assert client.ask(get("http://FAPI.binance.com:80/api/v3/echo", "api.binance.com")).status == 404
    assert path_asked(served) == "/fapi/api/v3/echo"
    assert client.ask(get("https://x/api/v3/echo", "fapi.binance.com")).status == 200
    assert client.ask(get("http://api.binance.com/console", "x")).status == 404
    assert path_asked(served) == "/api/console"


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("api.binance.com", "api.binance.com"),
        ("api.binance.com", "x"),
        ("api.binance.com/api",),
        ("api.binance.com fapi.binance.com",),
        ("api.binance.com, fapi.binance.com",),
        ("user@api.binance.com",),
        ("api.binance.com:443:443",),
        ("api.binance.com:https",),
        ("api.binance.com:443443",),
        ("api.binance.com?",),
        ("api.binance.com#",),
        ("[::1",),
        ("::1",),
        ('"api.binance.com"',),
        ("api.bin\xe4nce.com",),
    ],
)
def test_a_host_that_is_none_is_refused_before_anybody_looks(
    client: Client, served: Served, hosts: tuple[str, ...]
) -> None:
    served.application.handled.clear()
    answer = client.ask(get("/api/v3/echo", *hosts))
    assert (answer.status, served.application.handled) == (400, [])
    assert client.closed()


@pytest.mark.parametrize("target", ["http://user@api/api/v3/echo", "http://a b/api/v3/echo", "http://[::1/api/v3/echo"])
def test_an_authority_that_is_none_is_refused(served: Served, target: str) -> None:
    client = served.connect()
    assert client.ask(get(target, "x")).status == 400
    assert client.closed()


def test_a_host_of_any_length_costs_no_more_than_its_bytes(served: Served) -> None:
    client = served.connect()
    assert client.ask(get("/api/v3/echo", "a" * 15_000)).status == 200
    assert client.ask(get("/api/v3/echo", "a" * 17_000)).status == 431
    assert client.closed()
