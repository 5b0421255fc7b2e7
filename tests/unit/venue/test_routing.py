"""Routed orders: filled from all books of an asset as from one, exactly, with the house between the quotes."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparekey.sequencer.frames import encode
from sparekey.terms.admissions import Admission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import PlaceOrder, PlaceOrderList
from sparekey.venue.effects import Allocation, ClosedOrder, OrderReported, Prevented, Print
from sparekey.venue.events import Allocated, Filled, MatchPrevented, OrderClosed, OrderPlaced, OrderRested
from sparekey.venue.listing import PriceRange
from tests.spot_desk import FOREVER_US, MODES, FixedQuotes, SpotDesk, ending, plain, refused, routed_desk, units


def took(events: Any) -> list[tuple[str, str, str]]:
    """(where, price, quantity) of what the taker got."""
    assert not isinstance(events, Refusal), events
    return [
        (one.source if isinstance(one, Allocated) else one.symbol, plain(one.price), plain(one.quantity))
        for one in events
        if isinstance(one, (Filled, Allocated))
    ]


def rest_pair(one: SpotDesk, account_id: int, quantity: str = "2", price: str = "100") -> tuple[int, int]:
    """(stop loss, limit maker) on BTCUSDC; the ids of a pair that sells."""
    admission = Admission(account_id, account_id, 1, FOREVER_US)
    orders = (
        PlaceOrder(admission, "BTCUSDC", "SELL", "STOP_LOSS", "", units(quantity), 0, 0, units("50")),
        PlaceOrder(admission, "BTCUSDC", "SELL", "LIMIT_MAKER", "", units(quantity), 0, units(price)),
    )
    outcome = one.do(PlaceOrderList(admission, "BTCUSDC", "OCO", orders))
    if isinstance(outcome, Refusal):
        return 0, 0
    stop, limit = (event.order_id for event in outcome if isinstance(event, OrderPlaced))
    return stop, limit


def buy(one: SpotDesk, quantity: str, price: str = "", **more: Any) -> Any:
    return one.order(2, "BUY", quantity, price, routed=True, **more)


def test_the_best_prices_of_all_books_come_first_and_the_orders_own_book_at_equal_ones() -> None:
    one = routed_desk()
    one.rest(1, "SELL", "1", "101")
    one.rest(1, "SELL", "1", "100", symbol="BTCUSDC")
    one.rest(1, "SELL", "1", "101", symbol="BTCUSDC")
    one.rest(1, "SELL", "1", "102", symbol="BTCUSDC")
    bought = buy(one, "3.5", "102")
    assert took(bought) == [
        ("BTCUSDC", "100", "1"),
        ("BTCUSDT", "101", "1"),
        ("BTCUSDC", "101", "1"),
        ("BTCUSDC", "102", "0.5"),
    ]
    assert ending(bought) == ("FILLED", "")


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_an_allocation_settles_in_the_orders_own_quote_and_the_maker_in_its_own(side: str) -> None:
    one = routed_desk()
    maker_side = "SELL" if side == "BUY" else "BUY"
    one.rest(1, maker_side, "2", "100", symbol="BTCUSDC")
    one.order(2, side, "2", "100", routed=True)
    sign = 1 if side == "BUY" else -1
    fee = {"BUY": ("11.998", "999800", "8", "1000199.8"), "SELL": ("8", "1000199.8", "11.998", "999800")}[side]
    assert (one.holds(2, "BTC")[0], one.holds(2, "USDT")[0]) == fee[:2]
    assert one.holds(2, "USDC") == ("1000000", "0")
    assert (one.holds(1, "BTC")[0], one.holds(1, "USDC")[0]) == fee[2:]
    assert one.holds(1, "USDT") == ("1000000", "0")
    books = one.state.ledger.books
    assert [books[asset].router.free for asset in ("BTC", "USDT", "USDC")] == [0, sign * units(200), -sign * units(200)]


def test_what_a_book_of_another_symbol_gave_is_a_trade_there_and_an_allocation_here() -> None:
    one = routed_desk()
    maker = one.rest(1, "SELL", "1", "100", symbol="BTCUSDC")
    one.effects.clear()
    placed = buy(one, "1", "100")[0]
    [printed] = [effect for effect in one.effects if isinstance(effect, Print)]
    assert (printed.symbol, printed.trade_id, printed.maker_order_id, printed.taker_order_id) == (
        "BTCUSDC",
        1,
        maker,
        0,
    )
    [allocation] = [effect for effect in one.effects if isinstance(effect, Allocation)]
    assert (allocation.symbol, allocation.order_id, allocation.allocation_id) == ("BTCUSDT", placed.order_id, 0)
    assert plain(allocation.fee) == "0.001"
    closed = {effect.symbol: effect for effect in one.effects if isinstance(effect, ClosedOrder)}
    assert closed["BTCUSDT"].working_floor == "SOR"
    assert closed["BTCUSDC"].working_floor == ""
    assert one.state.last_price("BTCUSDC") == units(100)
    assert one.state.last_price("BTCUSDT") == 0
    assert buy(one, "1", "100")[0].order_id  # rests
    one.rest(1, "SELL", "1", "99", symbol="BTCUSDC")
    again = buy(one, "1", "99")
    assert [event.allocation_id for event in again if isinstance(event, Allocated)] == [1]


def test_what_remains_rests_on_the_orders_own_book_alone() -> None:
    one = routed_desk()
    one.rest(1, "SELL", "1", "100", symbol="BTCUSDC")
    bought = buy(one, "3", "100")
    assert isinstance(bought[-1], OrderRested)
    order = one.state.open_order(2, "BTCUSDT", order_id=bought[0].order_id)
    assert order is not None
    assert (plain(order.remaining), order.status, order.working_floor) == ("2", "PARTIALLY_FILLED", "EXCHANGE")
    assert one.holds(2, "USDT")[1] == "200"
    assert one.state.open_orders(2, "BTCUSDC") == []
    one.rest(1, "SELL", "1", "100", symbol="BTCUSDC")  # books do not meet by themselves
    assert took(one.order(3, "SELL", "2", "100")) == [("BTCUSDT", "100", "2")]
    assert one.state.open_orders(2, "BTCUSDT") == []


@pytest.mark.parametrize(
    ("order", "got", "end"),
    [
        ({"tif": "IOC"}, "1.5", ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")),
        ({"tif": "FOK"}, "", ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")),
        ({"price": ""}, "1.5", ("EXPIRED", "INSUFFICIENT_LIQUIDITY")),
    ],
)
def test_orders_that_do_not_rest_take_both_books_or_what_there_is(
    order: dict[str, str], got: str, end: tuple[str, str]
) -> None:
    one = routed_desk()
    one.rest(1, "SELL", "1", "100", symbol="BTCUSDC")
    one.rest(1, "SELL", "0.5", "100")
    bought = buy(one, "2", **({"price": "100"} | order))
    assert plain(sum(units(quantity) for _, _, quantity in took(bought))) == (got or "0")
    assert ending(bought) == end
    if not got:
        assert ending(buy(one, "1.5", "100", tif="FOK")) == ("FILLED", "")


def test_fill_or_kill_expires_where_no_book_has_anything() -> None:
    assert ending(buy(routed_desk(), "1", "100", tif="FOK")) == ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")


def test_quotes_of_participants_are_allocated_and_count_as_taken() -> None:
    quotes = FixedQuotes([], [("100", "1")])  # they quote BTCUSDT
    one = routed_desk(quotes)
    one.open_market()
    sold_out = one.order(2, "BUY", "1.5", "100", symbol="BTCUSDC", routed=True)
    assert took(sold_out) == [("BTCUSDT", "100", "1")]
    assert one.state.depth("BTCUSDT", 5)[1] == []
    assert quotes.taken == [("BTCUSDT", units(100), True)]
    assert one.holds(2, "USDC") == ("999850", "50")


@pytest.mark.parametrize("mode", MODES)
def test_an_order_does_not_meet_its_own_account_on_another_book(mode: str) -> None:
    one = routed_desk()
    maker = one.rest(2, "SELL", "1", "100", symbol="BTCUSDC")
    one.effects.clear()
    bought = buy(one, "3", "100", prevention_mode=mode)
    stopped = [event for event in bought if isinstance(event, MatchPrevented)]
    if mode == "NONE":
        assert took(bought) == [("BTCUSDC", "100", "1")]
        return
    assert took(bought) == []
    [match] = stopped
    assert (match.symbol, match.maker_symbol, match.maker_order_id) == ("BTCUSDT", "BTCUSDC", maker)
    [kept] = [effect for effect in one.effects if isinstance(effect, Prevented)]
    assert (kept.symbol, kept.maker_symbol) == ("BTCUSDT", "BTCUSDC")
    left = {
        "EXPIRE_TAKER": (0, 1),
        "EXPIRE_MAKER": (3, 0),
        "EXPIRE_BOTH": (0, 0),
        "DECREMENT": (2, 0),
    }[mode]
    rests = [one.state.open_orders(2, symbol) for symbol in ("BTCUSDT", "BTCUSDC")]
    assert tuple(sum(order.remaining for order in orders) for orders in rests) == tuple(map(units, left))


@pytest.mark.parametrize("quantity", ["1", "2"])
def test_an_order_of_a_pair_that_gives_to_a_routed_one_ends_its_partner(quantity: str) -> None:
    one = routed_desk()
    stop, limit = rest_pair(one, 1)
    assert one.holds(1, "BTC") == ("8", "2")
    bought = buy(one, quantity, "100")
    assert took(bought) == [("BTCUSDC", "100", quantity)]
    ends = [(event.order_id, event.status, event.expiry_reason) for event in bought if isinstance(event, OrderClosed)]
    assert (stop, "EXPIRED", "OCO_TRIGGER") in ends
    left = one.state.open_orders(1, "BTCUSDC")
    assert [order.order_id for order in left] == ([limit] if quantity == "1" else [])
    assert one.holds(1, "BTC") == ("8", "1" if quantity == "1" else "0")


@pytest.mark.parametrize("mode", MODES)
def test_a_pair_that_a_routed_order_of_its_own_account_meets_ends_as_one_order_would(mode: str) -> None:
    one = routed_desk()
    _, limit = rest_pair(one, 2)
    bought = buy(one, "1", "100", prevention_mode=mode)
    assert took(bought) == ([("BTCUSDC", "100", "1")] if mode == "NONE" else [])
    left = [order.order_id for order in one.state.open_orders(2, "BTCUSDC")]
    if mode == "EXPIRE_TAKER":
        assert len(left) == 2
    else:
        assert left == ([limit] if mode in ("NONE", "DECREMENT") else [])


def test_both_sides_are_told_to_those_who_listen() -> None:
    one = routed_desk()
    one.state.watched |= {1, 2}
    maker = one.rest(1, "SELL", "1", "100", symbol="BTCUSDC")
    one.effects.clear()
    buy(one, "1", "100")
    told = [effect for effect in one.effects if isinstance(effect, OrderReported) and effect.execution == "TRADE"]
    mine, theirs = told
    assert (mine.order.symbol, mine.trade_id, mine.allocation_id, mine.is_maker) == ("BTCUSDT", -1, 0, False)
    assert (mine.order.working_floor, mine.status, mine.fee_asset) == ("SOR", "FILLED", "BTC")
    assert (theirs.order.symbol, theirs.order.order_id, theirs.trade_id) == ("BTCUSDC", maker, 1)
    assert (theirs.allocation_id, theirs.status, theirs.fee_asset) == (-1, "FILLED", "USDC")


def test_a_coarser_book_gives_whole_steps_of_its_own() -> None:
    one = routed_desk(other={"step_size": units("0.1"), "min_quantity": units("0.1")})
    one.rest(1, "SELL", "1", "100", symbol="BTCUSDC")
    assert took(buy(one, "0.25", "100")) == [("BTCUSDC", "100", "0.2")]
    assert took(buy(one, "0.05", "100", tif="IOC")) == []


def test_an_iceberg_on_another_book_is_met_whole_behind_what_it_shows() -> None:
    one = routed_desk()
    one.rest(1, "SELL", "3", "100", symbol="BTCUSDC", iceberg_quantity=units(1))
    one.rest(3, "SELL", "1", "100", symbol="BTCUSDC")
    assert took(buy(one, "2.5", "100")) == [
        ("BTCUSDC", "100", "1"),
        ("BTCUSDC", "100", "1"),
        ("BTCUSDC", "100", "0.5"),
    ]
    assert ending(buy(one, "1.5", "100")) == ("FILLED", "")
    assert one.state.open_orders(1, "BTCUSDC") == []


def test_the_execution_rule_of_the_orders_symbol_holds_on_every_book() -> None:
    one = routed_desk(
        reference_buckets=5, price_range=PriceRange(units("1.1"), units("0.9"), units("1.1"), units("0.9"))
    )
    one.rest(1, "SELL", "1", "100")
    one.order(2, "BUY", "1", "100")
    one.rest(1, "SELL", "1", "105", symbol="BTCUSDC")
    one.rest(1, "SELL", "1", "111", symbol="BTCUSDC")
    bought = buy(one, "2", "200")
    assert took(bought) == [("BTCUSDC", "105", "1")]
    assert ending(bought) == ("EXPIRED", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED")


def test_a_trade_on_the_other_book_sets_off_the_triggers_there() -> None:
    one = routed_desk()
    one.rest(1, "SELL", "2", "100", symbol="BTCUSDC")
    one.order(1, "BUY", "0.1", "100", symbol="BTCUSDC", prevention_mode="NONE")
    one.order(3, "BUY", "1", type="STOP_LOSS", symbol="BTCUSDC", stop="101")
    one.rest(1, "SELL", "2", "101", symbol="BTCUSDC")
    buy(one, "2", "101")
    assert one.state.open_orders(3) == []
    assert one.holds(3, "BTC")[0] == "10.999"


def test_nothing_is_routed_where_only_one_book_has_the_asset() -> None:
    alone = SpotDesk(routed=True, min_notional=0)
    assert refused(buy(alone, "1", "100")) is Reason.ROUTING_NOT_ENABLED
    unrouted = routed_desk(other={"routed": False})
    assert refused(buy(unrouted, "1", "100")) is Reason.ROUTING_NOT_ENABLED
    closed = routed_desk(other={"status": "BREAK"})
    assert refused(buy(closed, "1", "100")) is Reason.ROUTING_NOT_ENABLED


def test_a_refused_routed_order_leaves_no_trace() -> None:
    one = routed_desk()
    one.rest(1, "SELL", "1", "100", symbol="BTCUSDC")
    before = encode(one.shard.dump())
    for more in ({"quantity": "20000", "price": "100"}, {"quantity": "1", "price": "100", "check_only": True}):
        outcome = buy(one, **more)
        assert isinstance(outcome, Refusal) or outcome == ()
        assert encode(one.shard.dump()) == before


# --- random flows -----------------------------------------------------------------------------------------------------

#: (account, symbol, side, steps, cents above 100, kind, mode)
Step = tuple[int, str, str, int, int, str, str]
steps = st.tuples(
    st.sampled_from((1, 2, 3)),
    st.sampled_from(("BTCUSDT", "BTCUSDC")),
    st.sampled_from(("BUY", "SELL")),
    st.integers(1, 300_000),
    st.integers(-5, 5),
    st.sampled_from(("plain", "iceberg", "GTC", "GTC", "IOC", "FOK", "MARKET", "pair", "cancel")),
    st.sampled_from(MODES),
)


def play(one: SpotDesk, flow: list[Step]) -> None:
    """`SpotDesk` audits books, holds and sums of every asset after each command."""
    for account_id, symbol, side, size, cents, kind, mode in flow:
        quantity, price = f"{size / 100_000:.5f}", f"{100 + cents / 100:.2f}"
        if kind == "cancel":
            for order in one.state.open_orders(account_id, symbol)[:1]:
                one.cancel(account_id, order.order_id, symbol=symbol)
            continue
        if kind == "pair":
            if side == "SELL":
                rest_pair(one, account_id, quantity, price)
        elif kind == "iceberg":
            part = units(f"{max(size // 3, 1) / 100_000:.5f}")
            one.order(account_id, side, quantity, price, symbol=symbol, iceberg_quantity=part)
        elif kind == "plain":
            one.order(account_id, side, quantity, price, symbol=symbol, prevention_mode=mode)
        elif kind == "MARKET":
            one.order(account_id, side, quantity, symbol=symbol, prevention_mode=mode, routed=True)
        else:
            one.order(account_id, side, quantity, price, symbol=symbol, tif=kind, prevention_mode=mode, routed=True)
        check(one)


def check(one: SpotDesk) -> None:
    """What the house stands between is quote for quote; and it keeps none of the asset that is routed."""
    books = one.state.ledger.books
    assert books["BTC"].router.free == 0
    assert books["USDT"].router.free + books["USDC"].router.free == 0


@settings(max_examples=40)
@given(st.lists(steps, min_size=1, max_size=25))
def test_whatever_is_routed_every_asset_sums_to_zero_and_holds_are_exact(flow: list[Step]) -> None:
    play(routed_desk(), flow)


def a_flow(seed: int, length: int) -> list[Step]:
    rng = random.Random(seed)
    kinds = ("plain", "iceberg", "GTC", "GTC", "IOC", "FOK", "MARKET", "pair", "cancel")
    return [
        (
            rng.choice((1, 2, 3)),
            rng.choice(("BTCUSDT", "BTCUSDC")),
            rng.choice(("BUY", "SELL")),
            rng.randrange(1, 200_000),
            rng.randrange(-4, 5),
            rng.choice(kinds),
            rng.choice(MODES),
        )
        for _ in range(length)
    ]


@pytest.mark.parametrize("seed", range(2))
def test_applying_journaled_allocations_gives_the_state_that_deciding_gave(seed: int) -> None:
    one = routed_desk()
    play(one, a_flow(seed, 200))
    assert any(isinstance(event, Allocated) for _, events in one.journal for event in events)
    again = routed_desk()
    own = len(again.journal)
    again.effects.clear()
    for time_us, events in one.journal[own:]:
        again.shard.apply(again.shard.decode_events(encode(events)), time_us)
        again.effects += again.shard.drain()
        assert again.state.audit() == ""
    assert encode(again.shard.dump()) == encode(one.shard.dump())
    assert again.effects == one.effects[-len(again.effects) :]
    loaded = routed_desk()
    loaded.shard.load(msgspec.msgpack.decode(encode(one.shard.dump())))
    assert encode(loaded.shard.dump()) == encode(one.shard.dump())


@pytest.mark.parametrize("seed", range(3))
def test_a_routed_taker_gets_the_best_prices_that_all_books_together_offer(seed: int) -> None:
    """A naive walk: all resting orders of both books in one list, sorted by price, own book first, then by time."""
    rng = random.Random(seed)
    for _ in range(40):
        one = routed_desk()
        resting = []
        for number in range(rng.randrange(1, 8)):
            symbol = rng.choice(("BTCUSDT", "BTCUSDC"))
            cents, size = rng.randrange(0, 4), rng.randrange(1, 50)
            one.rest(1, "SELL", f"0.{size:02}", f"100.{cents:02}", symbol=symbol)
            resting.append((100 * 100 + cents, symbol != "BTCUSDT", number, symbol, size))
        wanted, most = rng.randrange(1, 120), 10_000 + rng.randrange(0, 4)
        expected, left = [], wanted
        for cents, _, _, symbol, size in sorted(resting):
            if cents > most or not left:
                break
            expected.append((symbol, plain(units(cents) // 100), plain(units(min(size, left)) // 100)))
            left -= min(size, left)
        bought = buy(one, f"{wanted / 100:.2f}", f"{most / 100:.2f}")
        assert took(bought) == expected
        assert ending(bought)[0] == ("NEW" if left else "FILLED")
