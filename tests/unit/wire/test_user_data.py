"""Frames of the user data stream against Binance's documentation ("User data streams", "STP FAQ", commission FAQ)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from sparekey.sequencer.ports import Published, Record
from sparekey.sequencer.recovery import state_digest
from sparekey.terms.admissions import Admission
from sparekey.venue.commands import PlaceOrder, PlaceOrderList
from sparekey.venue.effects import BalanceAdjusted, BalancesReported, OrderReported
from sparekey.wire.user_data import UserDataFeed, UserEvent, combined, listen_key_expired, server_shutdown
from tests.spot_desk import FOREVER_US, NOW_US, FixedQuotes, SpotDesk, routed_desk, units

#: The documented sample of `executionReport`, in its order, without what only some reports have.
ALWAYS = list("eEscSofqpPFgCxXrilzLnNTtIwmMOZYQWV")
STOPPED = ["v", "A", "B", "u", "U", "Cs", "pl", "pL", "pY"]
REPORTS = (OrderReported, BalanceAdjusted, BalancesReported)


class Ear:
    """Hears everything that happens to one account of a desk, a list of events for each command."""

    def __init__(self, desk: SpotDesk, account_id: int, *, microseconds: bool = False) -> None:
        self.desk = desk
        self.account_id = account_id
        self.microseconds = microseconds
        self.position = 40
        self.feed = UserDataFeed(desk.state.watched, lambda: self.position)
        self.feed.listen(account_id, self)
        self.heard: list[bytes] = []
        self._seen = len(desk.effects)

    def tell(self, event: UserEvent) -> None:
        self.heard.append(event.payload(self.microseconds))

    def publish(self) -> Published:
        effects, self._seen = self.desk.effects[self._seen :], len(self.desk.effects)
        self.position += 1
        published = Published(Record("spot", self.position, self.desk.now_us, 1, None, ()), effects, self.position)
        self.feed.tell(published)
        return published

    def __call__(self) -> list[dict[str, Any]]:
        self.publish()
        heard, self.heard = self.heard, []
        return [json.loads(payload) for payload in heard]


def kinds(events: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event.get("x", ""), event.get("X", event["e"])) for event in events]


def test_a_resting_order_is_reported_as_documented_field_by_field() -> None:
    desk = SpotDesk()
    ear = Ear(desk, 1)
    order_id = desk.rest(1, "BUY", "0.5", "100", client_order_id="mine", strategy_id=7, strategy_type=1_000_001)
    new, position = ear()
    now = NOW_US // 1000
    assert list(new) == [*ALWAYS, "j", "J"]
    assert new | {"I": 0} == {
        "e": "executionReport",
        "E": now,
        "s": "BTCUSDT",
        "c": "mine",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.50000000",
        "p": "100.00000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": order_id,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": now,
        "t": -1,
        "I": 0,
        "w": True,
        "m": False,
        "M": False,
        "O": now,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        "j": 7,
        "J": 1_000_001,
        "W": now,
        "V": desk.state.rules("BTCUSDT").default_prevention_mode,
    }
    assert list(position) == ["e", "E", "u", "B"]
    assert position == {
        "e": "outboundAccountPosition",
        "E": now,
        "u": now,
        "B": [
            {"a": "BTC", "f": "10.00000000", "l": "0.00000000"},
            {"a": "USDT", "f": "999950.00000000", "l": "50.00000000"},
        ],
    }


def test_a_market_order_that_half_fills_reports_new_trade_expired_and_one_position() -> None:
    desk = SpotDesk()
    desk.rest(2, "SELL", "0.3", "100")
    desk.rest(2, "SELL", "0.2", "101")
    ear = Ear(desk, 1)
    desk.order(1, "BUY", "1")
    events = ear()
    assert kinds(events) == [
        ("NEW", "NEW"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("EXPIRED", "EXPIRED"),
        ("", "outboundAccountPosition"),
    ]
    _, first, second, expired, position = events
    assert [event["w"] for event in events[:4]] == [True, False, False, False]
    assert [event["M"] for event in events[:4]] == [False, True, True, False]
    assert (first["L"], first["l"], first["Y"], first["z"], first["Z"]) == (
        "100.00000000",
        "0.30000000",
        "30.00000000",
        "0.30000000",
        "30.00000000",
    )
    assert (first["n"], first["N"], first["m"]) == ("0.00030000", "BTC", False)
    assert (second["z"], second["Z"], second["t"]) == ("0.50000000", "50.20000000", first["t"] + 1)
    assert (expired["l"], expired["L"], expired["Y"], expired["t"]) == ("0.00000000",) * 3 + (-1,)
    assert (expired["z"], expired["Z"], expired["eR"]) == ("0.50000000", "50.20000000", "INSUFFICIENT_LIQUIDITY")
    assert (expired["n"], expired["N"]) == ("0", None)
    assert {event["p"] for event in events[:4]} == {"0.00000000"}
    assert len({event["T"] for event in events[:4]}) == 1
    ids = [event["I"] for event in events[:4]]
    assert ids == sorted(set(ids))
    assert {one["a"]: one["f"] for one in position["B"]} == {"BTC": "10.49950000", "USDT": "999949.80000000"}


def test_the_last_fill_makes_the_order_filled_on_both_sides_and_is_all_that_is_said_of_its_end() -> None:
    desk = SpotDesk()
    resting = desk.rest(1, "SELL", "0.5", "100")
    maker, taker = Ear(desk, 1), Ear(desk, 2)
    desk.order(2, "BUY", "0.2", "100")
    desk.order(2, "BUY", "0.3", "105", tif="IOC")
    first, first_position, second, second_position = maker()
    assert kinds([first, second]) == [("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED")]
    assert (first["w"], second["w"]) == (True, False)
    assert (first["m"], first["i"], first["n"], first["N"]) == (True, resting, "0.02000000", "USDT")
    assert first_position["B"][0] == {"a": "BTC", "f": "9.50000000", "l": "0.30000000"}
    assert second_position["B"][1]["f"] == "1000049.95000000"
    assert (
        kinds(taker())
        == [
            ("NEW", "NEW"),
            ("TRADE", "FILLED"),
            ("", "outboundAccountPosition"),
        ]
        * 2
    )


def test_a_taker_that_rests_with_the_remainder_stays_on_the_book() -> None:
    desk = SpotDesk()
    desk.rest(2, "SELL", "0.3", "100")
    ear = Ear(desk, 1)
    desk.order(1, "BUY", "1", "100")
    _, trade, _ = ear()
    assert (trade["X"], trade["w"]) == ("PARTIALLY_FILLED", True)


def test_a_cancel_is_reported_under_its_own_id_and_names_the_orders() -> None:
    desk = SpotDesk()
    order_id = desk.rest(1, "BUY", "0.5", "100", client_order_id="mine")
    ear = Ear(desk, 1)
    desk.cancel(1, order_id, new_client_order_id="the-cancel")
    cancelled, position = ear()
    assert kinds([cancelled]) == [("CANCELED", "CANCELED")]
    assert (cancelled["c"], cancelled["C"]) == ("the-cancel", "mine")
    assert (cancelled["w"], cancelled["l"], cancelled["t"]) == (False, "0.00000000", -1)
    assert "eR" not in cancelled
    assert position["B"][1] == {"a": "USDT", "f": "1000000.00000000", "l": "0.00000000"}


def test_cancelling_all_reports_each_order_and_the_balances_once() -> None:
    desk = SpotDesk()
    ids = [desk.rest(1, "BUY", "0.5", str(price)) for price in (100, 99, 98)]
    ear = Ear(desk, 1)
    desk.cancel_all(1)
    *cancelled, position = ear()
    assert [event["i"] for event in cancelled] == ids
    assert len({event["I"] for event in cancelled}) == 3
    assert {event["x"] for event in cancelled} == {"CANCELED"}
    assert position["B"][1]["l"] == "0.00000000"


@pytest.mark.parametrize(
    ("tif", "reason"),
    [("IOC", "UNFILLED_IOC_QUANTITY_EXPIRED"), ("FOK", "UNFILLED_FOK_ORDER_EXPIRED")],
)
def test_an_order_that_may_not_rest_expires_with_its_reason(tif: str, reason: str) -> None:
    desk = SpotDesk()
    ear = Ear(desk, 1)
    desk.order(1, "BUY", "1", "100", tif=tif)
    _, expired, _ = ear()
    assert kinds([expired]) == [("EXPIRED", "EXPIRED")]
    assert (expired["f"], expired["eR"], expired["w"], expired["C"]) == (tif, reason, False, "")


def test_a_market_order_by_quote_quantity_shows_the_quantity_that_it_was_fitted_to() -> None:
    desk = SpotDesk()
    desk.rest(2, "SELL", "0.3", "100")
    ear = Ear(desk, 1)
    desk.order(1, "BUY", quote="20")
    new, trade, _ = ear()
    assert (new["q"], new["Q"]) == (trade["q"], trade["Q"]) == ("0.20000000", "20.00000000")
    assert kinds([new, trade]) == [("NEW", "NEW"), ("TRADE", "FILLED")]


def test_a_prevented_match_ends_the_taker_and_says_what_would_have_traded() -> None:
    desk = SpotDesk()
    maker = desk.rest(1, "SELL", "0.3", "100")
    ear = Ear(desk, 1)
    desk.order(1, "BUY", "1", "100", prevention_mode="EXPIRE_TAKER")
    new, stopped, _ = ear()
    assert kinds([new, stopped]) == [("NEW", "NEW"), ("TRADE_PREVENTION", "EXPIRED_IN_MATCH")]
    assert list(stopped) == [*ALWAYS[:24], "v", *ALWAYS[24:], *STOPPED[1:]]
    assert not set(STOPPED) & set(new)
    assert (stopped["v"], stopped["A"], stopped["B"], stopped["U"], stopped["Cs"], stopped["u"]) == (
        1,
        "1.00000000",
        "1.00000000",
        maker,
        "BTCUSDT",
        -1,
    )
    assert (stopped["pl"], stopped["pL"], stopped["pY"]) == ("0.30000000", "100.00000000", "30.00000000")
    assert (stopped["l"], stopped["L"], stopped["Y"], stopped["w"]) == ("0.00000000",) * 3 + (False,)


def test_a_decremented_pair_is_reported_on_both_sides_and_the_larger_goes_on() -> None:
    desk = SpotDesk(prevention_modes=("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"))
    maker = desk.rest(1, "SELL", "0.3", "100")
    ear = Ear(desk, 1)
    desk.order(1, "BUY", "1", "100", prevention_mode="DECREMENT")
    _, taken, made, _ = ear()
    assert kinds([taken, made]) == [("TRADE_PREVENTION", "NEW"), ("TRADE_PREVENTION", "EXPIRED_IN_MATCH")]
    assert made["i"] == maker == taken["U"]
    assert (taken["A"], taken["w"], made["w"]) == ("0.30000000", True, False)


def test_a_fill_by_a_participant_is_reported_to_the_maker() -> None:
    quotes = FixedQuotes(bids=[("99", "1")], asks=[("101", "1")])
    desk = SpotDesk(quotes)
    desk.open_market()
    desk.rest(1, "BUY", "0.4", "100")
    ear = Ear(desk, 1)
    quotes.take("SELL", "0.4")
    desk.tick()
    trade, position = ear()
    assert (trade["x"], trade["X"], trade["m"], trade["L"]) == ("TRADE", "FILLED", True, "100.00000000")
    assert position["B"][0]["f"] == "10.39960000"


def test_funds_that_come_in_are_an_update_and_a_position() -> None:
    desk = SpotDesk()
    ear = Ear(desk, 1)
    desk.fund(1, ETH="2.5")
    update, position = ear()
    now = NOW_US // 1000
    assert update == {"e": "balanceUpdate", "E": now, "a": "ETH", "d": "2.50000000", "T": now}
    assert list(update) == ["e", "E", "a", "d", "T"]
    assert position["B"] == [{"a": "ETH", "f": "2.50000000", "l": "0.00000000"}]


def test_times_are_microseconds_where_they_are_asked_for() -> None:
    desk = SpotDesk()
    ear = Ear(desk, 1, microseconds=True)
    desk.rest(1, "BUY", "0.5", "100")
    new, position = ear()
    assert {new[key] for key in "ETOW"} == {position["E"], position["u"]} == {NOW_US}


def test_nobody_hears_of_another_account() -> None:
    desk = SpotDesk()
    ear = Ear(desk, 3)
    desk.rest(1, "SELL", "0.5", "100")
    desk.order(2, "BUY", "0.5", "100")
    assert ear() == []


def test_listening_changes_neither_decisions_nor_state_nor_what_others_receive() -> None:
    def trade(desk: SpotDesk) -> SpotDesk:
        order_id = desk.rest(1, "SELL", "0.5", "100")
        desk.order(2, "BUY", "0.2", "100")
        desk.order(1, "BUY", "0.1", "100", prevention_mode="EXPIRE_TAKER")
        desk.order(2, "BUY", quote="10")
        desk.cancel(1, order_id)
        desk.fund(1, BTC="1")
        return desk

    watched, plain = SpotDesk(), SpotDesk()
    watched.state.watched.update((1, 2))
    trade(watched), trade(plain)
    assert state_digest(watched.shard) == state_digest(plain.shard)
    assert watched.journal == plain.journal
    assert not any(isinstance(effect, REPORTS) for effect in plain.effects)
    assert any(isinstance(effect, REPORTS) for effect in watched.effects)
    assert [effect for effect in watched.effects if not isinstance(effect, REPORTS)] == plain.effects


def test_a_listener_hears_what_came_after_it_began_and_nothing_after_it_left() -> None:
    desk = SpotDesk()
    early = Ear(desk, 1)
    desk.rest(1, "BUY", "0.5", "100")
    published = early.publish()  # applied before the second listener came, published after
    late = Ear(desk, 1)
    early.position = late.position = published.position
    early.feed.listen(1, late)
    early.feed.tell(published)
    assert late.heard == []
    early.feed.tell(Published(published.record, published.effects, published.position + 1))
    assert len(late.heard) == 2
    early.feed.leave(1, late)
    early.feed.leave(1, late)
    assert early.feed.listeners == 1
    early.feed.leave(1, early)
    assert desk.state.watched == set()


def test_two_listeners_get_the_same_bytes() -> None:
    desk = SpotDesk()
    one, other = Ear(desk, 1), Ear(desk, 1)
    other._seen = len(desk.effects)
    desk.rest(1, "BUY", "0.5", "100")
    one.publish(), other.publish()
    assert one.heard == other.heard


def test_a_combined_stream_wraps_the_payload_and_other_events_are_as_documented() -> None:
    assert json.loads(combined("abc", b'{"e":"x"}')) == {"stream": "abc", "data": {"e": "x"}}
    assert json.loads(listen_key_expired("abc", 5_000, False)) == {"e": "listenKeyExpired", "E": 5, "listenKey": "abc"}
    assert json.loads(server_shutdown(5_000, True)) == {"e": "serverShutdown", "E": 5_000}


def test_what_another_book_gave_a_routed_order_is_reported_as_an_allocation() -> None:
    desk = routed_desk()
    taker, maker = Ear(desk, 2), Ear(desk, 1)
    desk.rest(1, "SELL", "1", "100", symbol="BTCUSDC")
    maker(), taker()
    desk.order(2, "BUY", "1.5", "100", routed=True)
    published = taker.publish()
    maker.feed.tell(published)
    new, traded, position = [json.loads(payload) for payload in taker.heard]
    assert list(new) == [*ALWAYS, "k", "uS"]
    assert (new["x"], new["k"], new["uS"]) == ("NEW", "EXCHANGE", True)
    assert list(traded) == [*ALWAYS, "b", "a", "k", "uS"]
    named = {name: traded[name] for name in ("x", "X", "s", "t", "b", "a", "k", "uS", "l", "L", "n", "N", "m")}
    assert named == {
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "s": "BTCUSDT",
        "t": -1,
        "b": "ONE_PARTY_TRADE_REPORT",
        "a": 0,
        "k": "SOR",
        "uS": True,
        "l": "1.00000000",
        "L": "100.00000000",
        "n": "0.00100000",
        "N": "BTC",
        "m": False,
    }
    assert [balance["a"] for balance in position["B"]] == ["BTC", "USDT"]
    sold, position = [json.loads(payload) for payload in maker.heard]
    assert list(sold) == ALWAYS
    assert (sold["s"], sold["t"], sold["X"], sold["m"], sold["N"]) == ("BTCUSDC", 1, "FILLED", True, "USDC")
    assert [balance["a"] for balance in position["B"]] == ["BTC", "USDC"]


def test_a_match_prevented_across_books_names_the_other_symbol() -> None:
    desk = routed_desk()
    ear = Ear(desk, 2)
    desk.rest(2, "SELL", "1", "100", symbol="BTCUSDC")
    ear()
    desk.order(2, "BUY", "1", "100", routed=True, prevention_mode="EXPIRE_BOTH", tif="IOC")
    stopped = {event["s"]: event["Cs"] for event in ear() if event.get("x") == "TRADE_PREVENTION"}
    assert stopped == {"BTCUSDT": "BTCUSDC", "BTCUSDC": "BTCUSDT"}


def test_what_happens_to_a_list_is_told_as_documented_beside_its_orders() -> None:
    desk = SpotDesk(min_notional=0)
    desk.trade("100")
    ear = Ear(desk, 1)
    admission = Admission(1, 1, 1, FOREVER_US)
    stop = PlaceOrder(admission, "BTCUSDT", "SELL", "STOP_LOSS", "", units(1), 0, 0, units(90))
    limit = PlaceOrder(admission, "BTCUSDT", "SELL", "LIMIT_MAKER", "", units(1), 0, units(110))
    desk.do(PlaceOrderList(admission, "BTCUSDT", "OCO", (stop, limit), "pair"))
    heard = ear()
    [status] = [event for event in heard if event["e"] == "listStatus"]
    reports = [event for event in heard if event["e"] == "executionReport"]
    now = NOW_US // 1000
    assert list(status.items()) == list(
        {
            "e": "listStatus",
            "E": now,
            "s": "BTCUSDT",
            "g": 1,
            "c": "OCO",
            "l": "EXEC_STARTED",
            "L": "EXECUTING",
            "r": "NONE",
            "C": "pair",
            "T": now,
            "O": [{"s": "BTCUSDT", "i": report["i"], "c": report["c"]} for report in reports],
        }.items()
    )
    assert [(report["g"], report["x"], report["X"]) for report in reports] == [(1, "NEW", "NEW")] * 2
    desk.order(2, "BUY", "1", "110")
    heard = ear()
    assert [event["x"] for event in heard if event["e"] == "executionReport"] == ["TRADE", "EXPIRED"]
    assert [(event["l"], event["L"]) for event in heard if event["e"] == "listStatus"] == [("ALL_DONE", "ALL_DONE")]
    working = PlaceOrder(admission, "BTCUSDT", "BUY", "LIMIT", "GTC", units(1), 0, units(95))
    desk.do(PlaceOrderList(admission, "BTCUSDT", "OPO", (working, msgspec.structs.replace(limit, quantity=0))))
    assert [event["X"] for event in ear() if event["e"] == "executionReport"] == ["NEW", "PENDING_NEW"]
    desk.order(2, "SELL", "1", "95")
    told = [(event["x"], event["X"], event["q"]) for event in ear() if event["e"] == "executionReport"]
    assert told == [("TRADE", "FILLED", "1.00000000"), ("NEW", "NEW", "1.00000000")]
