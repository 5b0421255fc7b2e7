"""WebSockets on the server's own sockets: handshake, control messages, bad frames, time, and readers that do not read.

Time is the test's. What goes out comes from a real feed; who may listen is decided by `PlainDoor`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.ports import Published, Record
from sparekey.server.sockets import SocketLimits, Sockets
from sparekey.server.streams import Streams
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.effects import BalanceAdjusted
from sparekey.venue.liquidity import NoParticipants
from sparekey.venue.spot_state import SpotState
from sparekey.wire.listen_keys import VALIDITY_US, ListenKey, ListenKeys
from sparekey.wire.market_feed import MarketFeed
from sparekey.wire.user_data import UserDataFeed
from tests.served import Served

NOW_US = 1_700_000_000_000_000
REVOKED = Refusal(Reason.KEY_DELETED)
LIMITS = SocketLimits(pending_bytes=65_536, streams=3, message_bytes=4096)


class PlainDoor:
    """Lets in whom the test lets in."""

    def __init__(self) -> None:
        self.now_us = NOW_US
        self.clocks = Clocks(lambda: self.now_us)
        self.listen_keys = ListenKeys()
        self.revoked: set[int] = set()
        self.refusal: Refusal | None = None
        self.ban: Refusal | None = None
        #: key id (0: none) and address of each connection that was ended
        self.ended: list[tuple[int, str]] = []

    def on_end(self, key_id: int, ip: str) -> None:
        self.ended.append((key_id, ip))

    def enter(self, ip: str, service: str) -> Refusal | None:
        return self.refusal

    def banned(self, ip: str) -> Refusal | None:
        return self.ban

    def find(self, name: str) -> ListenKey | None:
        return self.listen_keys.find(name, self.now_us)

    def judge(self, key: ListenKey, ip: str) -> Refusal | None:
        return REVOKED if key.key_id in self.revoked else None

    def api_key(self, key: ListenKey) -> str:
        return "K" * 64

    def key(self, account_id: int = 1, key_id: int = 1) -> str:
        return self.listen_keys.open("spot", account_id, key_id, self.now_us)


def no_views() -> Any:
    """Of a market without symbols nobody asks for any."""


class Streaming:
    def __init__(self, limits: SocketLimits = LIMITS) -> None:
        self.door = PlainDoor()
        self.position = 0
        self.watched: set[int] = set()
        feed = UserDataFeed(self.watched, lambda: self.position)
        self.sockets = Sockets(feed, self.door, limits=limits, monotonic_s=lambda: self.served.now_s)  # type: ignore[arg-type]
        self.market = MarketFeed(SpotState(NoParticipants()), no_views(), lambda: self.position, lambda: self.position)
        self.served = Served(upgrades=(Streams(self.sockets, self.market),))
        self.peers: list[Peer] = []

    def peer(self, target: str = "/ws", **options: Any) -> Peer:
        peer = Peer(self.served, target, **options)
        self.peers.append(peer)
        return peer

    def credit(self, account_id: int = 1, times: int = 1) -> None:
        """Commit as many records at once, each with one event for the account."""
        first = self.position + 1
        self.position += times
        published = [
            Published(
                Record("spot", position, NOW_US, 1, None, ()),
                [BalanceAdjusted(account_id, "USDT", position * 10**8, NOW_US)],
                position,
            )
            for position in range(first, self.position + 1)
        ]
        self.served.run(lambda: self.sockets.receive(published))

    def tell_of_access(self) -> None:
        self.position += 1
        record = Record("access", self.position, NOW_US, 1, None, ())
        self.served.run(lambda: self.sockets.receive([Published(record, (), self.position)]))

    def pass_seconds(self, seconds: int) -> None:
        self.door.now_us += seconds * 1_000_000
        self.served.pass_seconds(seconds)

    def settle(self, true: Any, what: str) -> None:
        self.served.until(true, what)

    def close(self) -> None:
        for peer in self.peers:
            peer.socket.close()
        self.served.close()


class Peer:
    """A WebSocket client that does only what the test says; `answers`: pings and closes are answered by themselves."""

    def __init__(
        self, served: Served, target: str, *, answers: bool = True, receive_buffer: int = 0, tls: bool = False
    ) -> None:
        self.socket = served.connect(receive_buffer, tls).socket
        self.answers = answers
        self.protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{served.port}{target}"), max_size=None)
        self._frames: list[Frame] = []
        self.protocol.send_request(self.protocol.connect())
        self.send_raw()
        self.response: Response | None = None
        while self.response is None:
            self._more()

    def send_raw(self, data: bytes = b"") -> None:
        self.socket.sendall(b"".join(self.protocol.data_to_send()) + data)

    def say(self, text: str | bytes | dict[str, Any]) -> None:
        data = (
            json.dumps(text).encode() if isinstance(text, dict) else text if isinstance(text, bytes) else text.encode()
        )
        self.protocol.send_text(data)
        self.send_raw()

    def ask(self, text: str | bytes | dict[str, Any]) -> Any:
        self.say(text)
        return self.hear()

    def hear(self) -> Any:
        """The next text frame, as JSON."""
        return json.loads(bytes(self.frame(Opcode.TEXT).data))

    def frame(self, opcode: Opcode) -> Frame:
        while not self._frames:
            assert self._more(), "the server closed"
        frame = self._frames.pop(0)
        assert frame.opcode is opcode, frame
        return frame

    def silent(self, seconds: float = 0.05) -> bool:
        self.socket.settimeout(seconds)
        try:
            while not self._frames:
                if not self._more():
                    return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(10)
        return False

    def closing(self) -> tuple[int, str]:
        """Code and reason of the server's close frame, once the server has hung up; earlier frames are dropped."""
        while self._more():
            pass
        closed = self.protocol.close_rcvd
        assert closed is not None, "no close frame"
        return closed.code, closed.reason

    def lost(self) -> bool:
        """The server hung up without a word of farewell."""
        while self._more():
            pass
        return self.protocol.close_rcvd is None

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.protocol.receive_eof()
            return False
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            else:
                assert isinstance(event, Frame)
                self._frames.append(event)
        if self.answers:
            self.send_raw()
        else:
            self.protocol.data_to_send()
        return True


@pytest.fixture
def streaming() -> Iterator[Streaming]:
    one = Streaming()
    yield one
    one.close()


def refused(streaming: Streaming, target: str) -> tuple[int, int, str]:
    """Status, code and text of a refused upgrade."""
    response = streaming.peer(target).response
    assert response is not None
    body = json.loads(response.body or b"null")
    return response.status_code, body["code"], body["msg"]


def update(position: int, *, combined: str = "") -> dict[str, Any]:
    now = NOW_US // 1000
    payload = {"e": "balanceUpdate", "E": now, "a": "USDT", "d": f"{position}.00000000", "T": now}
    return {"stream": combined, "data": payload} if combined else payload


# --- the door --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["/ws", "/ws/", "/ws/0", "/ws/3", "/stream", "/stream?streams=", "/stream/ws", f"/ws/{'x' * 36}"]
)
def test_addresses_without_a_stream_are_let_in_and_stay_silent(streaming: Streaming, target: str) -> None:
    peer = streaming.peer(target)
    assert peer.response is not None and peer.response.status_code == 101
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1}) == {"result": [], "id": 1}
    streaming.credit()
    assert peer.silent()


@pytest.mark.parametrize(
    "target", ["/ws-api/v3", "/ws-fapi/v1", "/ws-dapi/v1", "/fstream/ws", "/fstream/private/ws", "/dstream/stream"]
)
def test_addresses_that_do_not_exist_yet_are_refused(streaming: Streaming, target: str) -> None:
    assert refused(streaming, target) == (501, -1000, "This WebSocket address is not served yet.")


def test_a_bad_time_unit_is_refused(streaming: Streaming) -> None:
    assert refused(streaming, "/ws?timeUnit=NANOSECOND")[:2] == (400, -1194)


def test_too_many_streams_in_a_url_are_refused(streaming: Streaming) -> None:
    assert refused(streaming, "/stream?streams=a/b/c/d")[:2] == (400, -1000)


def test_a_revoked_key_is_refused_like_any_other_and_the_log_does_not_hold_the_listen_key(streaming: Streaming) -> None:
    text = streaming.door.key()
    streaming.peer(f"/ws/{text}")
    streaming.door.revoked.add(1)
    assert refused(streaming, f"/ws/{text}") == (401, -2015, "Invalid API-key, IP, or permissions for action.")
    opened, denied = streaming.served.application.told
    assert (opened[0].path, opened[1].status, opened[1].api_key) == (b"/ws", 101, "K" * 64)
    assert (denied[0].path, denied[1].status, denied[1].reason) == (b"/ws", 401, "key-deleted")
    for path in (f"/stream/ws/{text}", f"/fstream/ws/{text}"):
        streaming.peer(path)
        assert text.encode() not in streaming.served.application.told[-1][0].path


def test_a_banned_address_is_refused(streaming: Streaming) -> None:
    streaming.door.refusal = Refusal(Reason.IP_BANNED, (NOW_US // 1000 + 5000,))
    assert refused(streaming, "/ws")[:2] == (418, -1003)


def upgrade(method: str = "GET", target: str = "/ws", **changes: str) -> bytes:
    headers = {
        "Host": "api",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (upgrade(Sec_WebSocket_Key=""), 400),
        (upgrade(Sec_WebSocket_Key="short"), 400),
        (upgrade(Sec_WebSocket_Version="8"), 400),
        (upgrade(Upgrade="h2c"), 426),
        (upgrade("POST"), 405),
    ],
)
def test_a_malformed_handshake_is_refused_with_a_reason(streaming: Streaming, data: bytes, status: int) -> None:
    client = streaming.served.connect()
    answer = client.ask(data)
    assert answer.status == status
    assert json.loads(answer.body)["msg"]
    assert client.closed()


def test_a_plain_request_for_a_stream_is_answered_by_the_api(streaming: Streaming) -> None:
    assert streaming.served.connect().ask(b"GET /ws HTTP/1.1\r\nHost: api\r\n\r\n").status == 404
    assert streaming.served.application.handled[-1].path == b"/ws"


def test_a_handshake_may_come_byte_by_byte_and_with_the_first_message_behind_it(streaming: Streaming) -> None:
    text = b'{"method":"LIST_SUBSCRIPTIONS","id":1}'
    message = b"\x81%c\0\0\0\0%s" % (0x80 | len(text), text)
    for pieces in ([bytes([byte]) for byte in upgrade()] + [message], [upgrade() + message]):
        client = streaming.served.connect()
        for piece in pieces:
            client.send(piece)
        assert client.answer(bodiless=True).status == 101
        assert client._exactly(22) == b'\x81\x14{"result":[],"id":1}'


# --- what is heard ---------------------------------------------------------------------------------------------------


def test_raw_and_combined_listeners_of_one_account_hear_all_in_order_and_once(streaming: Streaming) -> None:
    text = streaming.door.key()
    raw, wrapped = streaming.peer(f"/ws/{text}"), streaming.peer(f"/stream?streams={text}")
    other = streaming.peer(f"/ws/{streaming.door.key(2, 2)}")
    for times in (1, 3, 500):
        streaming.credit(times=times)
    assert [raw.hear() for _ in range(504)] == [update(position) for position in range(1, 505)]
    assert [wrapped.hear() for _ in range(504)] == [update(position, combined=text) for position in range(1, 505)]
    assert raw.silent() and other.silent()


def test_microseconds_are_by_connection(streaming: Streaming) -> None:
    text = streaming.door.key()
    one, other = streaming.peer(f"/ws/{text}?timeUnit=MICROSECOND"), streaming.peer(f"/ws/{text}")
    streaming.credit()
    assert one.hear()["E"] == NOW_US
    assert other.hear()["E"] == NOW_US // 1000


def test_who_goes_away_is_no_longer_watched_for(streaming: Streaming) -> None:
    text = streaming.door.key()
    one, other = streaming.peer(f"/ws/{text}"), streaming.peer(f"/ws/{text}")
    assert streaming.watched == {1}
    one.socket.close()
    streaming.settle(lambda: streaming.sockets.feed.listeners == 1, "one is left")
    assert streaming.watched == {1}
    other.protocol.send_close(1000)
    other.send_raw()
    assert other.closing() == (1000, "")
    streaming.settle(lambda: streaming.watched == set(), "nobody is left")
    assert not streaming.sockets.connections


def test_a_listen_key_can_be_subscribed_to_and_left_again(streaming: Streaming) -> None:
    text = streaming.door.key()
    peer = streaming.peer("/stream")
    assert peer.ask({"method": "SUBSCRIBE", "params": [text, text], "id": 1}) == {"result": None, "id": 1}
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": "a-b"}) == {"result": [text], "id": "a-b"}
    streaming.credit()
    assert peer.hear() == update(1, combined=text)
    assert peer.ask({"method": "UNSUBSCRIBE", "params": [text, "unknown"], "id": None}) == {"result": None, "id": None}
    streaming.credit()
    assert peer.silent()
    assert streaming.watched == set()


def test_the_property_combined_decides_how_later_events_are_wrapped(streaming: Streaming) -> None:
    text = streaming.door.key()
    peer = streaming.peer(f"/ws/{text}")
    assert peer.ask({"method": "GET_PROPERTY", "params": ["combined"], "id": 1}) == {"result": False, "id": 1}
    assert peer.ask({"method": "SET_PROPERTY", "params": ["combined", True], "id": 2}) == {"result": None, "id": 2}
    assert peer.ask({"method": "GET_PROPERTY", "params": ["combined"], "id": 3}) == {"result": True, "id": 3}
    streaming.credit()
    assert peer.hear() == update(1, combined=text)


_BAD_ID = "Invalid request: request ID must be an unsigned integer"
_UNKNOWN = (
    "Invalid request: unknown variant `ORDER`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`,"
    " `SET_PROPERTY`, `GET_PROPERTY` at line 1 column 17"
)


@pytest.mark.parametrize(
    ("sent", "code", "text", "id"),
    [
        ("", 3, "Invalid JSON: expected value at line 1 column 1", None),
        ("{\n  x", 3, "Invalid JSON: expected value at line 2 column 3", None),
        ("[]", 2, "Invalid request: missing field `method` at line 1 column 2", None),
        ('{"id":7}', 2, "Invalid request: missing field `method` at line 1 column 8", 7),
        ('{"method":"SUBSCRIBE","params":["a"]}', 2, _BAD_ID, None),
        ('{"method":"SUBSCRIBE","id":true}', 2, _BAD_ID, None),
        ('{"method":"SUBSCRIBE","id":1.5}', 2, _BAD_ID, None),
        ('{"method":"SUBSCRIBE","id":9223372036854775808}', 2, _BAD_ID, None),
        ('{"method":"SUBSCRIBE","id":"%s"}' % ("x" * 37), 2, _BAD_ID, None),
        ('{"method":"ORDER","id":1}', 2, _UNKNOWN, 1),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["a"],"id":1}', 2, "Invalid request: too many parameters", 1),
        ('{"method":"SUBSCRIBE","id":1}', 2, "Invalid request: params must name a stream", 1),
        ('{"method":"SUBSCRIBE","params":{"a":1},"id":1}', 2, "Invalid request: params must be an array", 1),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "Invalid request: invalid stream", 1),
        ('{"method":"SUBSCRIBE","params":["no\\"name"],"id":1}', 2, "Invalid request: invalid stream", 1),
        ('{"method":"SUBSCRIBE","params":["nothing"],"id":1}', 2, "Invalid request: invalid stream", 1),
        ('{"method":"GET_PROPERTY","params":["speed"],"id":1}', 0, "Unknown property", 1),
        ('{"method":"GET_PROPERTY","params":[],"id":1}', 2, "Invalid request: property name must be a string", 1),
        ('{"method":"GET_PROPERTY","params":["combined",true],"id":1}', 2, "Invalid request: too many parameters", 1),
        ('{"method":"SET_PROPERTY","params":[7,true],"id":1}', 2, "Invalid request: property name must be a string", 1),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "Invalid value type: expected Boolean", 1),
        ('{"method":"SET_PROPERTY","params":["combined"],"id":1}', 1, "Invalid value type: expected Boolean", 1),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_answered_with_the_documented_error(
    streaming: Streaming, sent: str, code: int, text: str, id: Any
) -> None:
    peer = streaming.peer()
    assert peer.ask(sent) == {"error": {"code": code, "msg": text}, "id": id}
    # The connection lives on.
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 2}) == {"result": [], "id": 2}


def test_a_subscription_is_made_as_a_whole_or_not_at_all(streaming: Streaming) -> None:
    text = streaming.door.key()
    peer = streaming.peer()
    assert "error" in peer.ask({"method": "SUBSCRIBE", "params": [text, "nothing"], "id": 1})
    assert streaming.watched == set()
    streaming.door.revoked.add(1)
    assert peer.ask({"method": "SUBSCRIBE", "params": [text], "id": 2})["error"]["code"] == -2015
    keys = [streaming.door.key(account_id, account_id) for account_id in (2, 3, 4, 5)]
    assert peer.ask({"method": "SUBSCRIBE", "params": keys, "id": 3})["error"]["code"] == 2
    assert peer.ask({"method": "SUBSCRIBE", "params": keys[:3], "id": 4})["result"] is None
    assert "error" in peer.ask({"method": "SUBSCRIBE", "params": keys[3:], "id": 5})


# --- bad frames ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x02{}", 1002),  # not masked
        (b"\x83\x80\0\0\0\0", 1002),  # no such opcode
        (b"\xc1\x80\0\0\0\0", 1002),  # a bit of an extension that nobody agreed to
        (b"\x80\x80\0\0\0\0", 1002),  # continues nothing
        (b"\x09\x80\0\0\0\0", 1002),  # a ping in pieces
        (b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126, 1002),  # a ping too long
        (b"\x81\x81\0\0\0\0\xff", 1007),  # no UTF-8
        (b"\x82\x82\0\0\0\0{}", 1003),  # no text
        (b"\x81\xfe\x10\x01\0\0\0\0", 1009),  # announced to be too long
        (b"\x01\xfe\x10\x00\0\0\0\0" + b"x" * 4096 + b"\x80\x81\0\0\0\0x", 1009),  # too long in pieces
    ],
)
def test_a_bad_frame_ends_the_connection_with_its_code(streaming: Streaming, data: bytes, code: int) -> None:
    text = streaming.door.key()
    peer = streaming.peer(f"/ws/{text}")
    peer.send_raw(data)
    assert peer.closing()[0] == code
    assert streaming.watched == set()


def test_a_message_may_come_in_pieces_with_a_ping_between(streaming: Streaming) -> None:
    peer = streaming.peer()
    peer.send_raw(b"\x01\x8a\0\0\0\0" + b'{"method":')
    peer.send_raw(b"\x89\x82\0\0\0\0hi")
    assert peer.frame(Opcode.PONG).data == b"hi"
    peer.send_raw(b"\x80\x9c\0\0\0\0" + b'"LIST_SUBSCRIPTIONS","id":1}')
    assert peer.hear() == {"result": [], "id": 1}


def test_the_sixth_message_in_a_second_ends_the_connection(streaming: Streaming) -> None:
    peer = streaming.peer()
    for round_ in range(3):
        streaming.served.now_s += 1
        for number in range(4):
            assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": number})["id"] == number
        peer.protocol.send_ping(b"%d" % round_)
        peer.send_raw()
        peer.frame(Opcode.PONG)
    peer.say({"method": "LIST_SUBSCRIPTIONS", "id": 9})
    assert peer.closing() == (1008, "Too many requests")


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_ping_comes_every_twenty_seconds_and_whoever_answers_lives(streaming: Streaming) -> None:
    peer = streaming.peer()
    for _ in range(12):
        streaming.pass_seconds(19)
        assert peer.silent(0.01)
        streaming.pass_seconds(1)
        peer.frame(Opcode.PING)
        peer.silent(0.01)
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1})["id"] == 1


@pytest.mark.parametrize("unsolicited", [False, True])
def test_whoever_answers_no_ping_for_a_minute_is_disconnected(streaming: Streaming, unsolicited: bool) -> None:
    peer = streaming.peer(f"/ws/{streaming.door.key()}", answers=False)
    for _ in range(4):
        streaming.pass_seconds(19)
        if unsolicited:
            peer.protocol.send_pong(b"good morning")
            peer.send_raw()
        streaming.pass_seconds(1)
        assert streaming.watched == {1} or _ == 3
    assert peer.closing() == (1008, "Pong timeout")
    assert streaming.watched == set()


def test_an_empty_pong_counts_as_an_answer(streaming: Streaming) -> None:
    peer = streaming.peer(answers=False)
    for _ in range(8):
        streaming.pass_seconds(20)
        peer.frame(Opcode.PING)
        peer.protocol.send_pong(b"")
        peer.send_raw()
        peer.protocol.data_to_send()
        streaming.settle(lambda: not next(iter(streaming.sockets.connections))._unanswered, "the pong was heard")


def test_after_24_hours_the_connection_ends_with_notice(streaming: Streaming) -> None:
    peer = streaming.peer("/stream")
    streaming.pass_seconds(86_399)
    peer.frame(Opcode.PING)
    streaming.pass_seconds(1)
    notice = peer.hear()
    assert notice["stream"] == "!serverShutdown"
    assert notice["data"]["e"] == "serverShutdown"
    assert peer.closing()[0] == 1001


def test_a_client_that_never_confirms_the_end_is_cut_off(streaming: Streaming) -> None:
    peer = streaming.peer(answers=False)
    peer.send_raw(b"\x81\x81\0\0\0\0\xff")
    streaming.settle(lambda: not streaming.sockets.connections, "the connection is ending")
    streaming.pass_seconds(6)
    streaming.settle(lambda: not streaming.served.server.connections, "it was cut off")


def test_an_expired_listen_key_says_so_and_falls_silent(streaming: Streaming) -> None:
    text = streaming.door.key()
    raw, wrapped = streaming.peer(f"/ws/{text}"), streaming.peer(f"/stream?streams={text}")
    streaming.door.now_us += VALIDITY_US - 1
    streaming.served.pass_seconds(1)
    assert raw.silent()
    streaming.door.now_us += 1
    streaming.served.pass_seconds(1)
    expired = raw.hear()
    assert expired == {"e": "listenKeyExpired", "E": streaming.door.now_us // 1000, "listenKey": text}
    assert wrapped.hear() == {"stream": text, "data": expired}
    streaming.credit()
    assert raw.silent()
    assert raw.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1})["result"] == []


def test_a_listen_key_that_is_dead_already_is_said_to_be(streaming: Streaming) -> None:
    text = "x" * 64
    peer = streaming.peer(f"/stream?streams={text}")
    expired = {"e": "listenKeyExpired", "E": NOW_US // 1000, "listenKey": text}
    assert peer.hear() == {"stream": text, "data": expired}
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1})["result"] == []


def test_a_closed_listen_key_falls_silent_at_once(streaming: Streaming) -> None:
    text = streaming.door.key()
    peer = streaming.peer(f"/ws/{text}")
    assert streaming.door.listen_keys.close(text, 1, NOW_US)
    streaming.credit()
    assert peer.silent()
    streaming.served.pass_seconds(1)
    assert streaming.watched == set()


@pytest.mark.parametrize("notice", ["record", "second"])
def test_a_revoked_key_closes_the_socket_with_the_next_record_or_second(streaming: Streaming, notice: str) -> None:
    mine, other = streaming.peer(f"/ws/{streaming.door.key()}"), streaming.peer(f"/ws/{streaming.door.key(1, 2)}")
    streaming.door.revoked.add(1)
    streaming.tell_of_access() if notice == "record" else streaming.served.pass_seconds(1)
    streaming.credit()
    code, reason = mine.closing()
    assert (code, reason) == (1008, "The API key may no longer read this stream.")
    assert other.hear()["e"] == "balanceUpdate"
    streaming.served.pass_seconds(1)
    assert streaming.door.ended == [(1, "127.0.0.1")]


def test_a_ban_closes_the_sockets_of_the_address(streaming: Streaming) -> None:
    peer = streaming.peer()
    streaming.door.ban = Refusal(Reason.IP_BANNED, (0,))
    streaming.served.pass_seconds(1)
    assert peer.closing()[0] == 1008
    streaming.served.pass_seconds(1)
    assert streaming.door.ended == [(0, "127.0.0.1")]


def test_a_stop_says_so_and_closes_with_going_away(streaming: Streaming) -> None:
    peer = streaming.peer("/stream")
    streaming.served.loop.call_soon_threadsafe(
        lambda: streaming.served.loop.create_task(streaming.served.server.stop(5))
    )
    assert peer.hear()["data"]["e"] == "serverShutdown"
    assert peer.closing() == (1001, "The server stops.")
    streaming.settle(lambda: not streaming.served.server.connections, "nobody is left")


# --- readers that do not read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_does_not_read_is_dropped_and_the_others_hear_everything(
    streaming: Streaming, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    text = streaming.door.key()
    slow = streaming.peer(f"/ws/{text}", receive_buffer=4096, tls=tls)
    good = streaming.peer(f"/ws/{text}")
    heard = 0
    while not streaming.sockets.dropped:
        streaming.credit(times=100)
        for _ in range(100):
            heard += 1
            assert good.hear() == update(heard)
        assert heard < 200_000, "it was never dropped"
    assert streaming.sockets.feed.listeners == 1
    assert streaming.served.server.tally.faults["stream-unread"] == 1
    (told,) = [one.getMessage() for one in caplog.records if "dropped" in one.message]
    assert told.startswith("dropped a stream of 127.0.0.1: ") and told.endswith(" bytes were left unread")
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    assert slow.lost()
    streaming.credit()
    assert good.hear() == update(heard + 1)


def test_one_large_commit_does_not_cost_a_reader_its_place(streaming: Streaming) -> None:
    peer = streaming.peer(f"/ws/{streaming.door.key()}")
    streaming.credit(times=2_000)  # several times of what may be pending
    assert [peer.hear()["d"] for _ in range(2_000)][-1] == "2000.00000000"
    assert streaming.sockets.dropped == 0


def test_when_an_event_cannot_be_told_no_stream_goes_on_with_a_gap(streaming: Streaming) -> None:
    peer, idle = streaming.peer(f"/ws/{streaming.door.key()}"), streaming.peer()
    broken = Published(Record("spot", 1, NOW_US, 1, None, ()), [BalanceAdjusted(1, "USDT", None, NOW_US)], 1)  # type: ignore[arg-type]
    streaming.served.run(lambda: streaming.sockets.receive([broken]))
    assert peer.closing() == idle.closing() == (1011, "Events were lost.")
