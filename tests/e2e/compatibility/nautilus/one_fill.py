"""A nautilus_trader live node that buys once. Settings come as JSON on stdin; what happened goes to a file, by line.

Run by nautilus' own environment; nothing of nautilus is changed.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
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
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

INSTRUMENT = InstrumentId.from_str("BTCUSDT.BINANCE")


def say(what: str, **facts: Any) -> None:
    with Path(settings["said"]).open("a") as out:
        out.write(json.dumps({"what": what} | facts) + "\n")


class OneFill(Strategy):
    """Asks for candles, buys at the market, and shuts the node down once filled."""

    def on_start(self) -> None:
        instrument = self.cache.instrument(INSTRUMENT)
        say(
            "started",
            tick=str(instrument.price_increment),
            step=str(instrument.size_increment),
            taker_fee=str(instrument.taker_fee),
            balances=self.balances(),
        )
        bars = BarType.from_str(f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL")
        self.request_bars(bars, start=self.clock.utc_now().floor("D"), limit=20, callback=self.on_candles)

    def on_historical_data(self, data: Any) -> None:
        self.last_close = str(data.close)

    def on_candles(self, request_id: Any) -> None:
        say("candles", close=getattr(self, "last_close", ""))
        quantity = self.cache.instrument(INSTRUMENT).make_qty(Decimal(settings["quantity"]))
        self.submit_order(self.order_factory.market(INSTRUMENT, OrderSide.BUY, quantity))

    def on_order_rejected(self, event: Any) -> None:
        say("rejected", reason=event.reason)
        self.shutdown_system("rejected")

    def on_order_denied(self, event: Any) -> None:
        say("denied", reason=event.reason)
        self.shutdown_system("denied")

    def on_order_filled(self, event: Any) -> None:
        self.order = self.cache.order(event.client_order_id)
        if self.order.is_closed:
            self.clock.set_timer("account", timedelta(milliseconds=50), callback=self.on_account)

    def on_account(self, event: Any) -> None:
        """Word of the balances comes apart from word of the fill."""
        balances = self.balances()
        if settings["await_balances"] and "BTC" not in balances:
            return
        self.clock.cancel_timer("account")
        say(
            "filled",
            order_id=str(self.order.venue_order_id),
            quantity=str(self.order.filled_qty),
            balances=balances,
        )
        self.shutdown_system("filled")

    def balances(self) -> dict[str, str]:
        free = self.portfolio.account(INSTRUMENT.venue).balances_free()
        return {str(currency): str(amount.as_decimal()) for currency, amount in free.items()}


def main() -> None:
    provider = InstrumentProviderConfig(load_ids=frozenset([INSTRUMENT]))
    shared: dict[str, Any] = {
        "api_key": settings["api_key"],
        "api_secret": settings["api_secret"],
        "key_type": BinanceKeyType[settings["key_type"]],
        "account_type": BinanceAccountType.SPOT,
        "base_url_http": settings["base_url_http"],
        "base_url_ws": settings["base_url_ws"],
        "instrument_provider": provider,
    }
    node = TradingNode(
        config=TradingNodeConfig(
            trader_id="TESTER-001",
            logging=LoggingConfig(log_level="INFO", log_colors=False),
            # How long it waits for word of an order before it asks over REST.
            exec_engine=LiveExecEngineConfig(
                inflight_check_interval_ms=settings["patience_ms"],
                inflight_check_threshold_ms=settings["patience_ms"],
                reconciliation_startup_delay_secs=0.1,
            ),
            data_clients={BINANCE: BinanceDataClientConfig(**shared)},
            exec_clients={BINANCE: BinanceExecClientConfig(**shared)},
            timeout_connection=30,
            timeout_disconnection=10,
            timeout_post_stop=1,
        )
    )
    node.trader.add_strategy(OneFill(StrategyConfig(strategy_id="ONEFILL-001")))
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()
    try:
        node.run()
    finally:
        node.dispose()


settings: dict[str, Any] = json.load(sys.stdin)
if __name__ == "__main__":
    main()
