"""freqtrade, unmodified, in an environment of its own: it boots on spot and buys with real calls (no dry run)."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import demand
from tests.e2e.ccxt_urls import ccxt_urls
from tests.signing import Caller
from tests.venue import Credentials, Venue

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]

STRATEGIES = Path(__file__).parent / "freqtrade"
_STAKE = 500


def configuration(venue: Venue, key: Credentials, home: Path) -> dict[str, Any]:
    """A configuration as freqtrade's documentation gives it; only `urls` say that it trades here."""
    ccxt_settings = {"urls": ccxt_urls(venue.url)}
    return {
        "dry_run": False,
        "db_url": f"sqlite:///{home}/trades.sqlite",
        "max_open_trades": 1,
        "stake_currency": "USDT",
        "stake_amount": _STAKE,
        "trading_mode": "spot",
        "entry_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "order_types": {"entry": "limit", "exit": "limit", "stoploss": "market", "stoploss_on_exchange": False},
        "exchange": {
            "name": "binance",
            "key": key.api_key,
            "secret": key.secret,
            "ccxt_config": ccxt_settings,
            "ccxt_async_config": ccxt_settings,
            "pair_whitelist": ["BTC/USDT"],
            "enable_ws": False,
            "only_from_ccxt": True,
        },
        "pairlists": [{"method": "StaticPairList"}],
        "initial_state": "running",
        "internals": {"process_throttle_secs": 1},
    }


@contextmanager
def freqtrade(home: Path, settings: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    directory = Path(os.environ.get("SPAREKEY_FREQTRADE", ".venv-freqtrade/bin")).absolute()
    demand((directory / "freqtrade").exists(), "freqtrade (make test-clients installs it)")
    (home / "config.json").write_text(json.dumps(settings))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                directory / "freqtrade", "trade", "--config", home / "config.json", "--userdir", home,
                "--strategy", "EnterAtOnce", "--strategy-path", STRATEGIES,
            ],
            cwd=home, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "HOME": str(home)},
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def bought(home: Path) -> dict[str, Any] | None:
    """The trade as freqtrade's own book has it, once its entry order is filled and closed."""
    if not (home / "trades.sqlite").exists():
        return None
    with closing(sqlite3.connect(f"file:{home}/trades.sqlite?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        try:
            row = database.execute(
                "SELECT t.amount, t.open_rate, o.order_id, o.status, o.filled FROM trades t JOIN orders o"
                " ON o.ft_trade_id = t.id WHERE o.ft_is_open = 0"
            ).fetchone()
        except sqlite3.OperationalError:  # it has not made its tables yet
            return None
    return dict(row) if row else None


@pytest.mark.venue(market="simulated")
def test_freqtrade_boots_on_spot_and_fills_an_order(venue: Venue, tmp_path: Path) -> None:
    key = venue.key(fund={"USDT": "10000"})
    home = tmp_path / "freqtrade"
    home.mkdir()
    with freqtrade(home, configuration(venue, key, home)) as process:
        deadline = time.monotonic() + 150
        trade = bought(home)
        while trade is None and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
            trade = bought(home)
        log = (home / "log").read_text()
        assert trade is not None, log
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, log  # how freqtrade ends when it is told to
    # What freqtrade believes is what the venue did.
    assert trade["status"] == "closed"
    call = Caller(venue.url, key)
    order = call("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": trade["order_id"]}).body
    assert order["status"] == "FILLED"
    assert float(order["executedQty"]) == pytest.approx(trade["filled"])
    assert float(order["cummulativeQuoteQty"]) == pytest.approx(_STAKE, rel=0.02)
    fills = call("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT", "orderId": trade["order_id"]}).body
    fees = sum(float(fill["commission"]) for fill in fills)
    balances = {row["asset"]: row for row in call("GET", "/api/v3/account").body["balances"]}
    assert float(balances["BTC"]["free"]) == pytest.approx(float(order["executedQty"]) - fees)
    # Not one of its calls was refused.
    assert [(c["method"], c["path"], c["reason"]) for c in venue.calls(key, 1000) if c["code"]] == []
