"""Pegged orders: the book chooses their price once, when they begin."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sparekey.sequencer.frames import encode
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.effects import ClosedOrder
from tests.spot_desk import FixedQuotes, SpotDesk, ending, fills, plain, refused, units


def peg_desk(quotes: FixedQuotes | None = None, **changes: Any) -> SpotDesk:
    """Bids of account 2 at 29,900 and 29,800, asks at 30,100 and 30,200; last price 30,000."""
    desk = SpotDesk(quotes, peg_allowed=True, **changes)
    desk.trade("30000")
    for side, price in (("BUY", "29900"), ("BUY", "29800"), ("SELL", "30100"), ("SELL", "30200")):
        desk.rest(2, side, "1", price)
    return desk


@pytest.fixture
def desk() -> SpotDesk:
    return peg_desk()


def peg(desk: SpotDesk, side: str, to: str, offset: int = 0, price: str = "", **more: Any) -> Any:
    kind = more.pop("type", "LIMIT")
    return desk.order(1, side, "0.5", price, type=kind, peg_price_type=to, peg_offset=offset, **more)


@pytest.mark.parametrize(
    ("side", "offset", "price"),
    [("BUY", 0, "29900"), ("BUY", 1, "29800"), ("SELL", 0, "30100"), ("SELL", 1, "30200")],
)
@pytest.mark.parametrize("kind", ["LIMIT", "LIMIT_MAKER"])
def test_a_primary_peg_rests_at_a_level_of_its_own_side(
    desk: SpotDesk, side: str, offset: int, price: str, kind: str
) -> None:
    (placed, _) = peg(desk, side, "PRIMARY_PEG", offset, type=kind)
    assert (plain(placed.price), plain(placed.pegged_price)) == ("0", price)
    levels = dict(desk.state.depth("BTCUSDT", 5)[0 if side == "BUY" else 1])
    assert levels[units(price)] == units("1.5")
    assert desk.holds(1, "USDT" if side == "BUY" else "BTC")[1] == plain(
        units(price) // 2 if side == "BUY" else units("0.5")
    )


def test_a_market_peg_takes_at_a_level_of_the_other_side(desk: SpotDesk) -> None:
    events = peg(desk, "BUY", "MARKET_PEG", tif="IOC")
    assert fills(events) == [("30100", "0.5")]
    assert ending(events) == ("FILLED", "")
    events = desk.order(1, "SELL", "1.5", type="LIMIT", peg_price_type="MARKET_PEG", peg_offset=1)
    assert fills(events) == [("29900", "1"), ("29800", "0.5")]


def test_a_peg_does_not_follow_the_book(desk: SpotDesk) -> None:
    order_id = peg(desk, "BUY", "PRIMARY_PEG")[0].order_id
    desk.rest(2, "BUY", "1", "29950")
    desk.order(3, "SELL", "1.25", "29900")
    order = desk.state.open_order(1, "BTCUSDT", order_id=order_id)
    assert order is not None
    assert (plain(order.pegged_price), plain(order.remaining)) == ("29900", "0.5")


def test_participants_quotes_are_levels_too() -> None:
    desk = SpotDesk(FixedQuotes([("99", "1"), ("98", "1")], [("101", "1")]), peg_allowed=True, min_notional=0)
    desk.open_market()
    desk.tick()
    desk.rest(2, "BUY", "1", "98.5")
    assert [plain(peg(desk, "BUY", "PRIMARY_PEG", offset)[0].pegged_price) for offset in (0, 1, 2)] == [
        "99",
        "98.5",
        "98",
    ]


@pytest.mark.parametrize(("side", "to"), [("BUY", "PRIMARY_PEG"), ("SELL", "MARKET_PEG")])
def test_a_level_that_the_book_does_not_have_gives_no_price(desk: SpotDesk, side: str, to: str) -> None:
    assert refused(peg(desk, side, to, 2)) is Reason.PEG_LIQUIDITY
    assert not isinstance(peg(desk, side, to, 1), Refusal)


@pytest.mark.parametrize(
    ("kind", "to", "more", "reason"),
    [
        ("MARKET", "PRIMARY_PEG", {}, Reason.PEG_NOT_FOR_TYPE),
        ("STOP_LOSS", "MARKET_PEG", {"stop": "31000"}, Reason.PEG_NOT_FOR_TYPE),
        ("TAKE_PROFIT", "PRIMARY_PEG", {"stop": "29000"}, Reason.PEG_NOT_FOR_TYPE),
        ("LIMIT_MAKER", "MARKET_PEG", {}, Reason.PEG_KIND_NOT_FOR_TYPE),
        ("LIMIT", "PRIMARY_PEG", {"tif": "IOC"}, Reason.ORDER_COMBINATION),
        ("LIMIT", "PRIMARY_PEG", {"tif": "FOK"}, Reason.ORDER_COMBINATION),
    ],
)
def test_orders_that_cannot_be_pegged_are_refused(
    desk: SpotDesk, kind: str, to: str, more: dict[str, str], reason: Reason
) -> None:
    assert refused(peg(desk, "BUY", to, type=kind, **more)) is reason


def test_a_symbol_without_pegs_says_so() -> None:
    assert refused(peg(SpotDesk(), "BUY", "PRIMARY_PEG")) is Reason.PEGGED_NOT_ENABLED


def test_the_filters_must_pass_with_the_price_that_was_sent_and_with_the_chosen_one(desk: SpotDesk) -> None:
    (placed, _) = peg(desk, "BUY", "PRIMARY_PEG", price="20000")
    assert (plain(placed.price), plain(placed.pegged_price)) == ("20000", "29900")
    assert refused(peg(desk, "BUY", "PRIMARY_PEG", price="20000.001")) is Reason.FILTER_FAILED
    # 0.00016 are worth less than 5 at every level.
    outcome = desk.order(1, "BUY", "0.00016", type="LIMIT", peg_price_type="PRIMARY_PEG")
    assert outcome.facts == ("NOTIONAL",)  # type: ignore[union-attr]


def test_a_chosen_price_too_far_from_the_average_is_refused() -> None:
    desk = SpotDesk(peg_allowed=True)
    desk.trade("30000")
    desk.rest(2, "BUY", "1", "6000")
    # The average moves away from the only bid.
    desk.now_us += 3_600_000_000
    desk.trade("31000")
    outcome = peg(desk, "BUY", "PRIMARY_PEG")
    assert outcome.facts == ("PERCENT_PRICE_BY_SIDE",)


def test_a_pegged_stop_takes_its_price_from_the_book_when_it_is_triggered(desk: SpotDesk) -> None:
    placed = peg(desk, "BUY", "MARKET_PEG", 1, type="STOP_LOSS_LIMIT", stop="31000", tif="GTC")[0]
    assert (placed.waits, plain(placed.pegged_price)) == (True, "0")
    # As long as no price is known, the stop price says what is locked.
    assert desk.holds(1, "USDT")[1] == "15500"
    desk.order(3, "BUY", "2", "31000")  # clears the asks
    for price in ("31100", "31300"):
        desk.rest(2, "SELL", "0.25", price)
    events = desk.trade("31000")
    assert fills(events)[1:] == [("31100", "0.25"), ("31300", "0.25")]
    one = next(one for one in desk.effects if isinstance(one, ClosedOrder) and one.order_id == placed.order_id)
    assert (one.status, plain(one.price), plain(one.pegged_price)) == ("FILLED", "0", "31300")


@pytest.mark.parametrize("cause", ["liquidity", "filter"])
def test_a_pegged_stop_that_the_book_gives_no_price_is_rejected_when_triggered(cause: str) -> None:
    desk = SpotDesk(peg_allowed=True)
    desk.trade("30000")
    quantity = "0.5" if cause == "liquidity" else "0.00016"
    placed = desk.order(
        1, "SELL", quantity, type="STOP_LOSS_LIMIT", stop="29000", peg_price_type="PRIMARY_PEG", peg_offset=1
    )[0]  # type: ignore[index]
    if cause == "filter":
        desk.rest(2, "SELL", "1", "30100")
        desk.rest(2, "SELL", "1", "30200")
    desk.trade("29000")
    one = next(one for one in desk.effects if isinstance(one, ClosedOrder) and one.order_id == placed.order_id)
    assert (one.status, one.expiry_reason, one.working_us) == ("EXPIRED", "REJECTED", -1)
    assert desk.holds(1, "BTC") == ("10", "0")


def test_pegged_orders_survive_a_snapshot(desk: SpotDesk) -> None:
    peg(desk, "BUY", "PRIMARY_PEG", 1)
    peg(desk, "SELL", "PRIMARY_PEG", type="TAKE_PROFIT_LIMIT", stop="31000")
    dumped = encode(desk.shard.dump())
    again = SpotDesk()
    again.shard.load(msgspec.msgpack.decode(dumped))
    assert encode(again.shard.dump()) == dumped
    assert again.state.audit() == ""
