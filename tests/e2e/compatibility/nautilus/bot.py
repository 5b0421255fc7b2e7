"""A nautilus_trader live node through a bot's day. Settings come as JSON on standard input; what happens goes out by line.

Run by an environment of its own; nothing of nautilus is changed.
"""

from __future__ import annotations

import json
import sys
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.adapters.binance.common.enums import BinanceKeyType
from nautilus_trader.config import (
    InstrumentProviderConfig,
    LiveExecEngineConfig,
    LoggingConfig,
    StrategyConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import BookType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price
from nautilus_trader.trading.strategy import Strategy

INSTRUMENT = InstrumentId.from_str("BTCUSDT.BINANCE")
TRADES, QUOTES, BOOK = "trades", "quotes", "book"


def say(**what: Any) -> None:
    print(">> " + json.dumps(what), flush=True)


class ADay(Strategy):
    """Reads candles, listens to the market, places and cancels, buys; and once more after the server was restarted."""

    def on_start(self) -> None:
        instrument = self.cache.instrument(INSTRUMENT)
        say(taker_fee=str(instrument.taker_fee), usdt=self.free("USDT"))
        say(passed="boots with its instruments, fees and balances")
        self.heard: set[str] = set()
        self.again = False
        bars = BarType.from_str(f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL")
        self.request_bars(bars, start=self.clock.utc_now().floor("D"), limit=20, callback=self.on_candles)

    def on_historical_data(self, data: Any) -> None:
        self.last_close = data.close.as_double()

    def on_candles(self, request_id: Any) -> None:
        assert self.last_close > 0
        say(passed="reads candles")
        self.subscribe_trade_ticks(INSTRUMENT)
        self.subscribe_quote_ticks(INSTRUMENT)
        self.subscribe_order_book_deltas(INSTRUMENT, BookType.L2_MBP)

    def on_trade_tick(self, tick: Any) -> None:
        self.hear(TRADES)

    def on_quote_tick(self, tick: Any) -> None:
        assert tick.bid_price < tick.ask_price
        self.hear(QUOTES)

    def on_order_book_deltas(self, deltas: Any) -> None:
        book = self.cache.order_book(INSTRUMENT)
        if book.best_bid_price() is not None and book.best_bid_price() < book.best_ask_price():
            self.hear(BOOK)

    def hear(self, what: str) -> None:
        if what in self.heard:
            return
        self.heard.add(what)
        if len(self.heard) < 3:
            return
        if self.again:
            say(passed="hears the market again after the server was restarted, by itself")
            self.buy_now()
            return
        say(passed="hears trades and quotes and keeps an order book")
        self.resting = self.order_factory.limit(
            INSTRUMENT, OrderSide.BUY, self.amount(), Price.from_str(settings["far_price"])
        )
        self.submit_order(self.resting)

    def amount(self) -> Any:
        return self.cache.instrument(INSTRUMENT).make_qty(Decimal(settings["quantity"]))

    def on_order_accepted(self, event: Any) -> None:
        if event.client_order_id == self.resting.client_order_id:
            self.cancel_order(self.resting)

    def on_order_canceled(self, event: Any) -> None:
        say(passed="places and cancels an order, and hears of both")
        self.buy_now()

    def buy_now(self) -> None:
        self.submit_order(self.order_factory.market(INSTRUMENT, OrderSide.BUY, self.amount()))

    def on_order_rejected(self, event: Any) -> None:
        self.fail(event)

    def on_order_denied(self, event: Any) -> None:
        self.fail(event)

    def fail(self, event: Any) -> None:
        print(f"refused: {event}", flush=True)
        self.shutdown_system("refused")

    def on_order_filled(self, event: Any) -> None:
        order = self.cache.order(event.client_order_id)
        if order.is_closed:
            self.order = order
            self.clock.set_timer("account", timedelta(milliseconds=50), callback=self.on_account)

    def on_account(self, event: Any) -> None:
        """Word of the balances comes apart from word of the fill."""
        bought = 2 if self.again else 1
        if Decimal(self.free("BTC")) < bought * Decimal(settings["quantity"]) * Decimal("0.99"):
            return
        self.clock.cancel_timer("account")
        if self.again:
            say(passed="buys and hears of it again")
            self.shutdown_system("done")
            return
        say(
            order_id=str(self.order.venue_order_id),
            quantity=str(self.order.filled_qty),
            btc=self.free("BTC"),
        )
        say(passed="buys at the market and hears of its fill and balances")
        if not settings["restart"]:
            self.shutdown_system("done")
            return
        threading.Thread(target=self.await_restart).start()

    def await_restart(self) -> None:
        say(restart=True)
        sys.stdin.readline()
        self.again = True
        self.heard = set()

    def free(self, asset: str) -> str:
        free = self.portfolio.account(INSTRUMENT.venue).balances_free()
        return next((str(amount.as_decimal()) for currency, amount in free.items() if currency.code == asset), "0")


def main() -> None:
    provider = InstrumentProviderConfig(load_ids=frozenset([INSTRUMENT]))
    shared: dict[str, Any] = {
        "api_key": settings["api_key"],
        "api_secret": settings["api_secret"],
        "account_type": BinanceAccountType.SPOT,
        "base_url_http": settings["base"],
        "instrument_provider": provider,
    }
    if settings["key_type"] == "ed25519":
        shared["key_type"] = BinanceKeyType.ED25519
    socket = settings["base"].replace("http", "ws", 1)
    node = TradingNode(
        config=TradingNodeConfig(
            trader_id="TESTER-001",
            logging=LoggingConfig(log_level="INFO", log_colors=False),
            # So long it waits for word of an order before it asks over REST: it must have heard by then.
            exec_engine=LiveExecEngineConfig(
                inflight_check_interval_ms=60_000,
                inflight_check_threshold_ms=60_000,
                reconciliation_startup_delay_secs=0.1,
            ),
            data_clients={BINANCE: BinanceDataClientConfig(**shared, base_url_ws=socket)},
            exec_clients={BINANCE: BinanceExecClientConfig(**shared, base_url_ws=f"{socket}/ws-api/v3")},
            timeout_connection=30,
            timeout_disconnection=10,
            timeout_post_stop=1,
        )
    )
    node.trader.add_strategy(ADay(StrategyConfig(strategy_id="ADAY-001")))
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()
    try:
        node.run()
    finally:
        node.dispose()


settings: dict[str, Any] = json.loads(sys.stdin.readline())
if __name__ == "__main__":
    main()
