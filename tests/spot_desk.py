"""A spot shard in the hand: two symbols, funded accounts, and orders in a line of code each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sparekey.terms.admissions import Admission
from sparekey.terms.money import format_money, parse_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import (
    CancelOpenOrders,
    CancelOrder,
    Fund,
    ListAsset,
    ListSymbol,
    MarketTick,
    OpenMarket,
    PlaceOrder,
)
from sparekey.venue.effects import ClosedOrder, Print
from sparekey.venue.events import Filled, MarketOpened, OpenedSymbol, OrderClosed, OrderPlaced
from sparekey.venue.liquidity import Level, NoParticipants, Participants, Taker
from sparekey.venue.listing import AssetRules, SymbolRules
from sparekey.venue.spot_shard import SpotShard

NOW_US = 1_700_000_000_000_000
FOREVER_US = 2**62
#: Types that have a time in force.
TYPES_IN_FORCE = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")


def units(text: str | int) -> int:
    """`"0.5"` → 50000000."""
    return parse_money(str(text))


def symbol_rules(**changes: Any) -> SymbolRules:
    """BTCUSDT with round numbers; fees of 0.1 % on both sides."""
    rules: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "tick_size": units("0.01"),
        "step_size": units("0.00001"),
        "min_price": units("0.01"),
        "max_price": units("1000000"),
        "min_quantity": units("0.00001"),
        "max_quantity": units("9000"),
        "max_market_quantity": units("120"),
        "min_notional": units("5"),
        "max_notional": units("9000000"),
        "bid_multiplier_up": units("5"),
        "bid_multiplier_down": units("0.2"),
        "ask_multiplier_up": units("5"),
        "ask_multiplier_down": units("0.2"),
    }
    return SymbolRules(**(rules | changes))


class SpotDesk:
    """`now_us` is the shard's clock. Every command is followed by a full audit of books and balances."""

    def __init__(self, participants: Participants | None = None, **changes: Any) -> None:
        self.shard = SpotShard(participants or NoParticipants())
        self.state = self.shard.state
        self.now_us = NOW_US
        #: (time, events) of every command that had any
        self.journal: list[tuple[int, Sequence[Any]]] = []
        self.effects: list[ClosedOrder | Print] = []
        for asset in ("BTC", "USDT", "ETH"):
            self.do(ListAsset(AssetRules(asset, asset)))
        self.do(ListSymbol(symbol_rules(**changes)))
        self.do(ListSymbol(symbol_rules(symbol="ETHBTC", base_asset="ETH", quote_asset="BTC", min_notional=1)))
        for account_id in (1, 2, 3):
            self.fund(account_id, BTC="10", USDT="1000000")

    def do(self, command: Any) -> Sequence[Any] | Refusal:
        outcome = self.shard.execute(command, self.now_us)
        if not isinstance(outcome, Refusal) and outcome:
            self.journal.append((self.now_us, outcome))
        self.effects += self.shard.drain()
        assert self.shard.check() == ""
        assert self.state.audit() == ""
        return outcome

    def fund(self, account_id: int, **amounts: str) -> None:
        for asset, amount in amounts.items():
            self.do(Fund(account_id, asset, units(amount)))

    def order(
        self,
        account_id: int,
        side: str,
        quantity: str = "",
        price: str = "",
        *,
        type: str = "",
        quote: str = "",
        symbol: str = "BTCUSDT",
        tif: str = "GTC",
        stop: str = "",
        **more: Any,
    ) -> Sequence[Any] | Refusal:
        """A LIMIT order if a price is given, else a MARKET order; of another type if one is named."""
        kind = type or ("LIMIT" if price else "MARKET")
        return self.do(
            PlaceOrder(
                Admission(account_id, account_id, 1, FOREVER_US),
                symbol,
                side,
                kind,
                tif if kind in TYPES_IN_FORCE else "",
                units(quantity) if quantity else 0,
                units(quote) if quote else 0,
                units(price) if price else 0,
                units(stop) if stop else 0,
                **more,
            )
        )

    def rest(self, account_id: int, side: str, quantity: str, price: str, **more: Any) -> int:
        """A LIMIT order that must rest; its id."""
        events = self.order(account_id, side, quantity, price, **more)
        assert not isinstance(events, Refusal), events
        placed = events[0]
        assert isinstance(placed, OrderPlaced)
        assert self.state.open_order(account_id, placed.symbol, order_id=placed.order_id)
        return placed.order_id

    def trade(self, price: str, quantity: str = "0.001") -> Sequence[Any]:
        """Accounts 8 and 9 make a print at this price, which nobody else's order may have been in the way of."""
        self.fund(8, BTC=quantity)
        self.fund(9, USDT="1000000")
        maker = self.rest(8, "SELL", quantity, price)
        events = self.order(9, "BUY", quantity, price)
        assert not isinstance(events, Refusal), events
        assert [event.maker_order_id for event in events if isinstance(event, Filled)][:1] == [maker]
        return events

    def cancel(
        self, account_id: int, order_id: int = 0, *, symbol: str = "BTCUSDT", **more: Any
    ) -> Sequence[Any] | Refusal:
        return self.do(CancelOrder(Admission(account_id, account_id, 1, FOREVER_US), symbol, order_id, **more))

    def cancel_all(self, account_id: int) -> Sequence[Any] | Refusal:
        return self.do(CancelOpenOrders(Admission(account_id, account_id, 1, FOREVER_US), "BTCUSDT"))

    def open_market(self) -> None:
        self.do(OpenMarket(1, 7, (OpenedSymbol("BTCUSDT", units("100"), units("1000"), 1_000),)))

    def tick(self) -> Sequence[Any] | Refusal:
        self.now_us += 1_000_000
        return self.do(MarketTick(1_000_000))

    def holds(self, account_id: int, asset: str) -> tuple[str, str]:
        """(free, locked), as texts."""
        balance = self.state.balances(account_id)[asset]
        return plain(balance.free), plain(balance.locked)


#: All that self-trade prevention can do, and nothing.
MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")


def routed_desk(
    participants: Participants | None = None, *, other: dict[str, Any] | None = None, **changes: Any
) -> SpotDesk:
    """BTCUSDT and BTCUSDC, both routed; accounts 1 to 3 have every asset. `other` changes rules of the second."""
    both: dict[str, Any] = {"routed": True, "min_notional": 0, "prevention_modes": MODES, "iceberg_allowed": True}
    desk = SpotDesk(participants, **(both | changes))
    desk.do(ListAsset(AssetRules("USDC", "USDC")))
    desk.do(ListSymbol(symbol_rules(symbol="BTCUSDC", quote_asset="USDC", **(both | (other or {})))))
    for account_id in (1, 2, 3):
        desk.fund(account_id, USDC="1000000")
    return desk


def plain(amount: int) -> str:
    """`50000000` → `"0.5"`."""
    text = format_money(amount)
    return text.rstrip("0").rstrip(".")


def fills(events: Any) -> list[tuple[str, str]]:
    """(price, quantity) of each trade."""
    assert not isinstance(events, Refusal), events
    return [(plain(event.price), plain(event.quantity)) for event in events if isinstance(event, Filled)]


def ending(events: Any) -> tuple[str, str]:
    """(status, expiry reason) of the order that was placed; NEW while it rests."""
    assert not isinstance(events, Refusal), events
    placed = events[0]
    for event in events:
        if isinstance(event, OrderClosed) and (event.symbol, event.order_id) == (placed.symbol, placed.order_id):
            return event.status, event.expiry_reason
    return "NEW", ""


def refused(outcome: Any) -> Reason:
    assert isinstance(outcome, Refusal), outcome
    return outcome.reason


class Renewed(msgspec.Struct, frozen=True, array_like=True, tag=True, tag_field="kind"):
    """The event of `FixedQuotes`."""

    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class FixedQuotes:
    """Participants on BTCUSDT that quote and take exactly what a test says."""

    event_types: tuple[type, ...] = (Renewed,)

    def __init__(self, bids: Sequence[tuple[str, str]] = (), asks: Sequence[tuple[str, str]] = ()) -> None:
        self.next_bids, self.next_asks = _levels(bids), _levels(asks)
        self.next_takers: list[Taker] = []
        self._bids: Sequence[Level] = self.next_bids
        self._asks: Sequence[Level] = self.next_asks
        self.taken: list[tuple[str, int, bool]] = []

    def quote(self, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> None:
        """From the next tick on."""
        self.next_bids, self.next_asks = _levels(bids), _levels(asks)

    def take(self, side: str, quantity: str) -> None:
        """At the next tick."""
        self.next_takers.append(Taker(side == "BUY", units(quantity)))

    def apply_opened(self, event: MarketOpened) -> None:
        pass

    def bids(self, symbol: str) -> Sequence[Level]:
        return self._bids if symbol == "BTCUSDT" else ()

    def asks(self, symbol: str) -> Sequence[Level]:
        return self._asks if symbol == "BTCUSDT" else ()

    def decide_tick(self, elapsed_us: int) -> tuple[Any, Mapping[str, Sequence[Taker]]]:
        takers, self.next_takers = self.next_takers, []
        return Renewed(tuple(self.next_bids), tuple(self.next_asks)), {"BTCUSDT": takers}

    def decide_requote(self, symbol: str, price: int) -> Any:
        return Renewed(((price - units("0.01"), units("1")),), ((price + units("0.01"), units("1")),))

    def decide_release(self, symbol: str) -> Any | None:
        return None

    def apply(self, event: Any) -> None:
        self._bids, self._asks = list(event.bids), list(event.asks)

    def note_taken(self, symbol: str, quote_quantity: int, is_buy: bool) -> None:
        self.taken.append((symbol, quote_quantity, is_buy))

    def dump(self) -> Any:
        return [[list(level) for level in self._bids], [list(level) for level in self._asks]]

    def load(self, data: Any) -> None:
        self._bids, self._asks = ([(price, quantity) for price, quantity in side] for side in data)


def _levels(levels: Sequence[tuple[str, str]]) -> list[Level]:
    return [(units(price), units(quantity)) for price, quantity in levels]
