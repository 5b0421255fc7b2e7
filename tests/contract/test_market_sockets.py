"""Market streams on the server's own sockets: addresses, wrapping, units, control messages, and the timer.

Clock, commits and pulses are the test's; the market is real.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparekey.server.market_pulse import MarketPulse
from sparekey.server.sockets import SocketLimits, Sockets
from sparekey.server.streams import Streams
from sparekey.terms.clocktime import SECOND_US
from sparekey.venue.commands import MarketTick
from sparekey.wire import market_feed
from sparekey.wire.user_data import UserDataFeed
from tests.contract.test_streams import Peer, PlainDoor
from tests.market_desk import SYMBOL, MarketDesk
from tests.served import Served
from tests.unit.wire.test_market_feed import LocalBook, levels


class Timer:
    """One alarm at a time: `wake` lets it go off."""

    def __init__(self) -> None:
        self.due: Callable[[], object] | None = None
        self.seconds = 0.0

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        assert self.due is None, "two alarms"
        self.due, self.seconds = callback, seconds
        return self

    def cancel(self) -> None:
        self.due = None

    def wake(self) -> None:
        due, self.due = self.due, None
        assert due is not None, "no alarm"
        due()


class Market:
    """A market that is served."""

    def __init__(self, folder: Path) -> None:
        self.timer = Timer()
        self.door = PlainDoor()
        self.served = Served(upgrades=self._services())  # begins the loop, which all of it lives on
        self.served.run(lambda: self._open(folder))
        self.peers: list[Peer] = []

    def _services(self) -> tuple[Streams]:
        self.sockets = Sockets(
            UserDataFeed(set(), lambda: 0),
            self.door,  # type: ignore[arg-type]
            limits=SocketLimits(streams=20),
            monotonic_s=lambda: self.served.now_s,
        )
        self.streams = Streams(self.sockets, None)  # type: ignore[arg-type]
        return (self.streams,)

    def _open(self, folder: Path) -> None:
        desk = self.desk = MarketDesk(folder, feeds=False)
        self.streams.market = desk.feed
        pulse = MarketPulse(
            desk.feed, self.sockets, lambda: desk.now_us, self.timer.call_later, lambda: desk.sequencer.hurry()
        )
        desk.sequencer.add_consumer(pulse)
        desk.sequencer.add_consumer(self.sockets)
        desk.tick()

    def peer(self, target: str, **options: Any) -> Peer:
        peer = Peer(self.served, target, **options)
        assert peer.response is not None and peer.response.status_code == 101
        self.peers.append(peer)
        return peer

    def trade(self, quantity: str = "0.001") -> int:
        """One trade of an account; its id."""

        def buy() -> int:
            self.desk.do(self.desk.order("BUY", quantity))
            return self.desk.prints[-1].trade_id

        trade_id: int = self.served.run(buy)
        return trade_id

    def pulse(self, after_us: int = SECOND_US) -> None:
        def wake() -> None:
            self.desk.now_us += after_us
            self.timer.wake()

        self.served.run(wake)

    def close(self) -> None:
        for peer in self.peers:
            peer.socket.close()
        self.served.run(self.desk.close)
        self.served.close()


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    one = Market(tmp_path)
    yield one
    one.close()


def listening(market: Market, names: int) -> None:
    market.served.until(lambda: market.desk.feed.listeners == names, "the streams are listened to")


def test_raw_streams_are_bare_and_combined_ones_named_in_either_unit_of_time(market: Market) -> None:
    raw = market.peer("/ws/btcusdt@trade")
    two = market.peer("/ws/btcusdt@trade/btcusdt@bookTicker?timeUnit=MICROSECOND")
    both = market.peer("/stream?streams=btcusdt@trade/btcusdt@aggTrade&timeUnit=millisecond")
    bare = market.peer("/stream")
    assert bare.ask({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": "a-1"}) == {"result": None, "id": "a-1"}
    listening(market, 6)
    trade_id = market.trade()
    now_us = market.desk.now_us
    payload = raw.hear()
    assert (payload["e"], payload["t"], payload["T"]) == ("trade", trade_id, now_us // 1_000)
    fine = two.hear()
    assert (fine["t"], fine["T"], fine["E"]) == (trade_id, now_us, now_us)
    assert two.hear()["u"] == market.desk.spot.last_update_id(SYMBOL)
    assert both.hear() == {"stream": "btcusdt@trade", "data": payload}
    aggregate = both.hear()
    assert (aggregate["stream"], aggregate["data"]["f"]) == ("btcusdt@aggTrade", trade_id)
    assert bare.hear() == {"stream": "btcusdt@trade", "data": payload}


def test_a_frame_is_encoded_once_for_all_who_hear_it_alike(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[bool] = []
    spell = market_feed.trade_payload

    def counted(one: Any, microseconds: bool) -> bytes:
        encoded.append(microseconds)
        return spell(one, microseconds)

    monkeypatch.setattr(market_feed, "trade_payload", counted)
    peers = [market.peer("/ws/btcusdt@trade") for _ in range(5)]
    peers += [market.peer("/stream?streams=btcusdt@trade&timeUnit=MICROSECOND") for _ in range(3)]
    listening(market, 8)
    trade_id = market.trade()
    for peer in peers:
        heard = peer.hear()
        assert heard.get("data", heard)["t"] == trade_id
    assert sorted(encoded) == [False, True]


def test_streams_are_subscribed_to_listed_and_left(market: Market) -> None:
    peer = market.peer("/ws/0")
    names = ["btcusdt@trade", "btcusdt@kline_1d@+08:00", "nosuch@trade", "btcusdt@nothing", "!bookTicker"]
    assert peer.ask({"method": "SUBSCRIBE", "params": names, "id": 1}) == {"result": None, "id": 1}
    assert peer.ask({"method": "SUBSCRIBE", "params": names[:1], "id": 2}) == {"result": None, "id": 2}
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 3}) == {"result": names, "id": 3}
    assert market.desk.feed.listeners == 2  # what means nothing is not listened to
    gone = ["btcusdt@trade", "nosuch@trade", "never@asked"]
    assert peer.ask({"method": "UNSUBSCRIBE", "params": gone, "id": 4}) == {"result": None, "id": 4}
    market.served.pass_seconds(1)
    left = ["btcusdt@kline_1d@+08:00", "btcusdt@nothing", "!bookTicker"]
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 5}) == {"result": left, "id": 5}
    market.trade()
    assert peer.silent()
    peer.socket.close()
    listening(market, 0)
    assert market.timer.due is None


@pytest.mark.parametrize(
    "target",
    [
        "/ws/btcusdt@kline_1m@+08:00",
        "/ws/btcusdt@kline_1m@%2B08:00",
        "/stream?streams=btcusdt@kline_1m@+08:00",
        "/stream?streams=btcusdt%40kline_1m%40%2B08%3A00",
        "/stream?streams=btcusdt@kline_1m@+08:00/btcusdt@kline_1m@+08:00",
    ],
)
def test_a_name_may_come_encoded_or_not_and_twice(market: Market, target: str) -> None:
    peer = market.peer(target)
    listed = {"result": ["btcusdt@kline_1m@+08:00"], "id": 1}
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1}) == listed
    assert market.desk.feed.listeners == 1


def test_market_streams_count_among_the_streams_of_a_connection(market: Market) -> None:
    names = [f"btcusdt@kline_{interval}" for interval in ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h")]
    names += [f"eth{name}" for name in names] + ["btcusdt@trade", "btcusdt@depth"]
    peer = market.peer(f"/stream?streams={'/'.join(names)}")
    refusal = peer.ask({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1})
    assert refusal == {"error": {"code": 2, "msg": "Invalid request: more than 20 streams"}, "id": 1}
    assert peer.ask({"method": "UNSUBSCRIBE", "params": names[:1], "id": 2})["result"] is None
    assert peer.ask({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 3})["result"] is None


def test_the_public_host_has_the_markets_streams_and_no_accounts(market: Market) -> None:
    key = market.door.key()
    peer = market.peer(f"/data-stream/stream?streams=btcusdt@trade/{key}")
    assert peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1}) == {"result": ["btcusdt@trade"], "id": 1}
    answer = peer.ask({"method": "SUBSCRIBE", "params": [key], "id": 2})
    assert answer["error"] == {"code": 2, "msg": "Invalid request: invalid stream"}
    raw = market.peer("/data-stream/ws/btcusdt@trade")
    listening(market, 2)
    trade_id = market.trade()
    assert raw.hear()["t"] == peer.hear()["data"]["t"] == trade_id


def test_the_timer_runs_only_while_somebody_listens_to_something_timed(market: Market) -> None:
    peer = market.peer("/ws/btcusdt@trade/btcusdt@bookTicker/btcusdt@aggTrade")
    listening(market, 3)
    assert market.timer.due is None
    assert peer.ask({"method": "SUBSCRIBE", "params": ["btcusdt@miniTicker"], "id": 1})["result"] is None
    to_the_second = (SECOND_US - market.desk.now_us % SECOND_US) / SECOND_US
    assert market.timer.due is not None
    assert market.timer.seconds == pytest.approx(to_the_second)
    assert peer.ask({"method": "SUBSCRIBE", "params": ["btcusdt@depth5@100ms"], "id": 2})["result"] is None
    assert market.timer.seconds == pytest.approx(to_the_second % 0.1)
    market.pulse()
    assert {peer.hear().get("e"), peer.hear().get("e")} == {"24hrMiniTicker", None}
    market.served.pass_seconds(1)
    names = ["btcusdt@depth5@100ms", "btcusdt@miniTicker"]
    assert peer.ask({"method": "UNSUBSCRIBE", "params": names, "id": 3})["result"] is None
    assert market.timer.due is None


def test_a_pulse_waits_for_the_commit_of_what_happened_before_it(market: Market) -> None:
    peer = market.peer("/ws/btcusdt@depth@100ms")
    listening(market, 1)

    def act() -> None:
        desk = market.desk
        desk.apply(desk.order("BUY", "0.5"))
        desk.now_us += SECOND_US
        market.timer.wake()

    market.served.run(act)
    assert peer.silent()
    assert market.timer.due is not None
    market.served.run(market.desk.commit)
    assert peer.hear()["u"] == market.desk.spot.last_update_id(SYMBOL)


def test_a_pulse_has_those_records_committed_that_nobody_waits_for(market: Market) -> None:
    peer = market.peer("/ws/btcusdt@depth@100ms")
    listening(market, 1)

    def act() -> None:
        desk = market.desk
        desk.now_us += SECOND_US
        desk.sequencer.submit("spot", MarketTick(SECOND_US), lazy=True)
        market.timer.wake()
        desk.loop.run()

    market.served.run(act)
    assert peer.hear()["u"] == market.desk.spot.last_update_id(SYMBOL)


def test_all_streams_are_closed_when_one_cannot_be_told(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap that nobody sees is worse than an end."""
    peers = [market.peer("/ws/btcusdt@trade"), market.peer("/ws/btcusdt@depth")]
    listening(market, 2)
    monkeypatch.setattr(market_feed, "trade_payload", lambda one, us: json.loads("no json"))
    market.trade()
    for peer in peers:
        assert peer.closing() == (1011, "Events were lost.")
    listening(market, 0)


def test_a_local_book_is_kept_over_a_socket_and_anew_after_a_reconnect(market: Market) -> None:
    desk = market.desk
    for _ in range(3):
        peer, book = market.peer("/ws/btcusdt@depth@100ms"), LocalBook()
        listening(market, 1)
        for step in range(12):

            def act(step: int = step) -> Any:
                if step % 4 == 0:
                    desk.tick()
                bids, asks = desk.spot.depth(SYMBOL, 20)
                desk.do(desk.order("BUY", "0.01", bids[step][0]), desk.order("SELL", "0.4", asks[step][0]))
                desk.do(desk.order("BUY", "1.7"))
                return desk.spot.last_update_id(SYMBOL), *desk.spot.depth(SYMBOL, 5_000)

            snapshot = market.served.run(act)
            market.pulse(100_000)
            book.hear(peer.hear())
            if step == 5:
                assert book.snapshot(*snapshot)
        assert book.applied >= 6
        bids, asks = desk.spot.depth(SYMBOL, 5_000)
        assert book.update_id == desk.spot.last_update_id(SYMBOL)
        assert book.shown() == [levels(bids), levels(asks)]
        peer.socket.close()
        listening(market, 0)
