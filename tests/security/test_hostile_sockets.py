"""WebSockets whose other side means harm: it is refused or kept waiting, at little cost, and others are served."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparekey.server.listeners import raise_file_limit
from tests.security.hostile import BINARY, CLOSE, MORE, PING, PONG, TEXT, Hostile, dial, frame, upgrade
from tests.venue import Venue

STREAM, API = "/ws", "/ws-api/v3"
BOTH = (STREAM, API)
MOST = 131_072

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    raise_file_limit()
    running = Venue(tmp_path_factory.mktemp("hostile") / "data", market="simulated", profile="off")
    yield running
    running.stop()


@pytest.fixture
def opened(venue: Venue) -> Iterator[list[Hostile | socket.socket]]:
    some: list[Hostile | socket.socket] = []
    yield some
    for one in some:
        one.close()


def memory() -> int:
    """Bytes of this process, in which the server runs, too."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def others_are_served(venue: Venue) -> None:
    for target, message in ((STREAM, {"method": "LIST_SUBSCRIPTIONS", "id": 1}), (API, {"method": "ping", "id": 1})):
        other = Hostile(venue, target)
        assert other.ask(message)["id"] == 1
        other.close()


@pytest.mark.parametrize("target", BOTH)
def test_compression_is_not_agreed_on_and_a_compressed_frame_is_refused(venue: Venue, target: str) -> None:
    bomb = Hostile(venue, target, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    assert bomb.response.startswith(b"HTTP/1.1 101")
    assert b"extensions" not in bomb.response.lower()
    bomb.send(frame(TEXT, b"\xec\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\x0a", rsv=4))
    assert bomb.closing()[0] == 1002
    bomb.close()


@pytest.mark.parametrize("target", BOTH)
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"{}", rsv=4), 1002),
        (frame(TEXT, b"{}", rsv=2), 1002),
        (frame(TEXT, b"{}", rsv=1), 1002),
        (frame(TEXT, b"{}", masked=False), 1002),
        (frame(PING, b"", masked=False), 1002),
        (frame(3, b"{}"), 1002),
        (frame(11, b""), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(MORE, b"x"), 1002),
        (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
        (frame(BINARY, b"{}"), 1003),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, claims=MOST + 1), 1009),
        (frame(TEXT, claims=2**40), 1009),
        (frame(TEXT, claims=2**63 - 1), 1009),
        (frame(BINARY, claims=2**40), 1009),
    ],
    ids=lambda value: value if isinstance(value, int) else value[:8].hex(),
)
def test_a_frame_that_cannot_be_ends_the_connection_before_the_rest_of_it_comes(
    venue: Venue, target: str, sent: bytes, code: int
) -> None:
    one = Hostile(venue, target)
    one.send(sent)
    assert one.closing()[0] == code
    one.close()


@pytest.mark.parametrize("kind", [PING, PONG])
def test_a_flood_of_control_frames_ends_a_stream(venue: Venue, kind: int) -> None:
    one = Hostile(venue, STREAM)
    one.send(*(frame(kind, b"%d" % number) for number in range(10_000)))
    assert one.closing() == (1008, "Too many requests")
    one.close()


def test_a_message_in_endless_pieces_ends_a_stream(venue: Venue) -> None:
    one = Hostile(venue, STREAM)
    one.send(frame(TEXT, b"{", fin=False), *(frame(MORE, b"", fin=False) for _ in range(10)))
    assert one.closing() == (1008, "Too many requests")
    one.close()


def test_a_message_in_pieces_may_not_grow_beyond_what_one_may_have(venue: Venue) -> None:
    one = Hostile(venue, API)
    one.send(frame(TEXT, b"{", fin=False), *(frame(MORE, b"x" * 1_000, fin=False) for _ in range(MOST // 1_000 + 1)))
    assert one.closing()[0] == 1009
    one.close()


def test_endless_pieces_of_nothing_take_no_turn_of_others(venue: Venue) -> None:
    one = Hostile(venue, API)
    one.send(frame(TEXT, b'{"method":"ping",', fin=False))
    nothing = frame(MORE, b"", fin=False) * 20_000
    others_are_served(venue)
    one.send(nothing)
    others_are_served(venue)
    one.send(frame(MORE, b'"id":7}'))
    assert json.loads(one.hear(TEXT))["id"] == 7
    one.close()


@linux
def test_pongs_that_nobody_reads_are_not_piled_up(venue: Venue) -> None:
    one = Hostile(venue, API, receive_buffer=4096)
    one.socket.settimeout(0.5)
    pings = frame(PING, b"x" * 125) * 2_000
    before = memory()
    sent = 0
    with pytest.raises(TimeoutError):  # nobody listens any more, and the sender has to wait
        while sent < 100_000_000:
            sent += one.socket.send(pings)
    assert memory() - before < 8_000_000
    others_are_served(venue)
    one.close()


@linux
def test_replies_that_nobody_reads_are_not_piled_up(venue: Venue) -> None:
    one = Hostile(venue, API, receive_buffer=4096)
    one.socket.settimeout(0.5)
    ask = frame(TEXT, b'{"id":1,"method":"depth","params":{"symbol":"BTCUSDT","limit":100}}') * 100
    before = memory()
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 100_000_000:
            sent += one.socket.send(ask)
    assert memory() - before < 8_000_000
    others_are_served(venue)
    one.close()


def test_subscribing_and_leaving_without_end_ends_the_connection_and_leaves_nothing_behind(venue: Venue) -> None:
    names = [f"{symbol}@depth{levels}@100ms" for symbol in ("btcusdt", "ethusdt", "bnbusdt") for levels in (5, 10, 20)]
    names += [f"btcusdt@kline_{interval}" for interval in ("1s", "1m", "1h", "1d")]
    for _ in range(10):
        one = Hostile(venue, STREAM)
        for number in range(6):
            method = "UNSUBSCRIBE" if number % 2 else "SUBSCRIBE"
            one.send(frame(TEXT, json.dumps({"method": method, "params": names, "id": number}).encode()))
        assert one.closing() == (1008, "Too many requests")
        one.close()
    others_are_served(venue)
    assert venue.watched_books() == []


def test_half_open_handshakes_keep_nobody_from_being_served(
    venue: Venue, opened: list[Hostile | socket.socket]
) -> None:
    half = upgrade("/stream")[:-2]
    for part in (1, 40, len(half)):
        callers = [dial(venue) for _ in range(100)]
        opened += callers
        for one in callers:
            one.sendall(half[:part])
    others_are_served(venue)


@linux
def test_hundreds_of_idle_sockets_cost_little_and_others_are_served(
    venue: Venue, opened: list[Hostile | socket.socket]
) -> None:
    opened.append(Hostile(venue, STREAM))
    before = memory()
    opened += [Hostile(venue, BOTH[number % 2]) for number in range(400)]
    assert (memory() - before) // 400 < 20_000  # bytes for each, the client's part included
    others_are_served(venue)
