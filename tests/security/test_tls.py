"""What may come to the TLS port that is no TLS, or does not go on: closed, told to nobody, and no trouble to others."""

from __future__ import annotations

import logging
import os
import random
import socket
import ssl
import struct
from collections.abc import Iterator

import pytest

from sparekey.server import listeners
from tests.served import Client, Served, certificates, request


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(listeners, "HANDSHAKE_S", 0.2)
        one = Served()
        yield one
        one.close()


def raw(served: Served) -> Client:
    return served.connect(port=served.tls_port)


def hello() -> bytes:
    """What a client says first."""
    said, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(heard, said, server_hostname="api.binance.com")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


def is_well(served: Served) -> bool:
    client = served.connect(tls=True)
    try:
        return client.ask(request()).status == 200
    finally:
        client.close()


@pytest.mark.parametrize(
    "junk",
    [
        b"\0" * 100_000,
        b"GET /api/v3/time HTTP/1.1\r\nHost: api.binance.com\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000,
        b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x80\x2e\x01\x00\x02",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        random.Random(7).randbytes(5_000),
    ],
    ids=["zeros", "plain-http", "record-too-long", "length-lies", "alert", "sslv2", "ssh", "random"],
)
def test_what_is_no_tls_is_closed_and_nobody_hears_of_it(
    served: Served, junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    served.application.handled.clear()
    client = raw(served)
    try:
        client.send(junk)
    except (BrokenPipeError, ConnectionResetError):
        pass  # closed before all of it was sent
    assert b"HTTP" not in client.rest()
    assert served.application.handled == []
    assert is_well(served)
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("part", [0, 1, 5, 100, -1, None])
def test_a_handshake_that_does_not_go_on_is_closed(served: Served, part: int | None) -> None:
    client = raw(served)
    client.send(hello()[:part])
    rest = client.rest()  # ends when the server closes
    assert rest == b"" or part is None
    assert is_well(served)


def test_half_open_handshakes_keep_nobody_from_being_served_and_all_end(served: Served) -> None:
    half = hello()[:200]
    clients = [raw(served) for _ in range(300)]
    for client in clients:
        client.send(half)
    assert is_well(served)
    assert all(client.closed() for client in clients)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_versions_that_are_broken_are_refused(served: Served, version: ssl.TLSVersion) -> None:
    old = ssl.create_default_context(cafile=certificates().authority_path)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.minimum_version = old.maximum_version = version
    old.set_ciphers("ALL:@SECLEVEL=0")
    with raw(served).socket as plain, pytest.raises((ssl.SSLError, ConnectionResetError)):
        old.wrap_socket(plain, server_hostname="api.binance.com")


def test_http_1_1_is_agreed_on_with_who_asks(served: Served) -> None:
    for offered, agreed in ((["h2", "http/1.1"], "http/1.1"), ([], None)):
        trusting = ssl.create_default_context(cafile=certificates().authority_path)
        trusting.set_alpn_protocols(offered)
        with trusting.wrap_socket(raw(served).socket, server_hostname="api.binance.com") as client:
            assert client.selected_alpn_protocol() == agreed


def test_bytes_that_are_not_of_the_session_end_it(served: Served) -> None:
    trusting = ssl.create_default_context(cafile=certificates().authority_path)
    plain = raw(served).socket
    descriptor = os.dup(plain.fileno())
    with (
        trusting.wrap_socket(plain, server_hostname="api.binance.com") as client,
        socket.socket(fileno=descriptor) as under,
    ):
        client.sendall(request(target="/api/v3/echo"))
        assert client.recv(20).startswith(b"HTTP/1.1 200")
        under.sendall(b"\x17\x03\x03\x00\x20" + b"\0" * 32)
        with pytest.raises((ssl.SSLError, ConnectionResetError, EOFError)):
            while client.recv(65_536):
                pass
            raise EOFError
    assert is_well(served)


def test_a_client_that_says_farewell_while_its_reply_is_due_leaves_no_trace(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    client = served.connect(tls=True)
    client.send(request("POST", "/api/v3/order?q=1"))  # not durable until it is committed
    served.until(lambda: bool(served.application.waiting), "the order waits for its commit")
    one = client.socket
    assert isinstance(one, ssl.SSLSocket)
    one.unwrap().close()
    served.run(served.application.commit)
    served.until(lambda: not served.server.connections, "the connection is gone")
    assert served.application.told[-1][0].path == b"/api/v3/order"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_client_that_vanishes_in_a_handshake_leaves_no_trace(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    for part in (0, 1, 100, None):
        client = raw(served)
        client.send(hello()[:part])
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert is_well(served)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
