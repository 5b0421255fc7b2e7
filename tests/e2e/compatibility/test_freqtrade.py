"""freqtrade in an environment of its own, really trading: over REST alone, then with its WebSockets on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import demand
from tests.e2e.ccxt_urls import ccxt_urls
from tests.e2e.compatibility.script import follow
from tests.signing import Caller
from tests.venue import Credentials, Venue

pytestmark = [pytest.mark.clients, pytest.mark.timeout(400)]

STRATEGIES = Path(__file__).parent / "freqtrade"
_STAKE = 500


def configuration(venue: Venue, key: Credentials, home: Path, enable_ws: bool) -> dict[str, Any]:
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
            "enable_ws": enable_ws,
            "only_from_ccxt": True,
        },
        "pairlists": [{"method": "StaticPairList"}],
        "initial_state": "running",
        "internals": {"process_throttle_secs": 1},
    }


@contextmanager
def freqtrade(program: Path, home: Path, settings: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    (home / "config.json").write_text(json.dumps(settings))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program, "trade", "-v", "--config", home / "config.json", "--userdir", home,
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
def test_freqtrade_follows_its_script(venue: Venue, tmp_path: Path) -> None:
    program = Path(os.environ.get("SPAREKEY_FREQTRADE", ".venv-freqtrade/bin")).absolute() / "freqtrade"
    demand(program.exists(), "freqtrade (make test-clients installs it)")
    asked = ["-c", "from importlib.metadata import version; print(version('freqtrade'))"]
    done = subprocess.run([program.parent / "python", *asked], capture_output=True, text=True, check=True)
    with follow("freqtrade", done.stdout.strip()) as script:
        for enable_ws, after in ((False, ", over REST alone"), (True, ", with `enable_ws`")):
            key = venue.key(fund={"USDT": "10000"})
            home = tmp_path / f"ws-{enable_ws}"
            home.mkdir()
            with freqtrade(program, home, configuration(venue, key, home, enable_ws)) as process:
                log = home / "log"
                with script.step(f"boots and fills its entry order{after}"):
                    trade = awaited(process, lambda home=home: bought(home), log)
                if enable_ws:
                    with script.step("takes its candles from the kline stream"):
                        # It trusts the stream once it saw a candle close there.
                        awaited(process, lambda log=log: "reuse watch result for BTC/USDT" in log.read_text(), log)
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 130, log.read_text()  # how freqtrade ends when it is told to
            with script.step(f"believes what the server did, and no call of its was refused{after}"):
                check_what_it_believes(venue, key, trade)


def awaited(process: subprocess.Popen[bytes], wanted: Callable[[], Any], log: Path) -> Any:
    deadline = time.monotonic() + 150
    while process.poll() is None and time.monotonic() < deadline:
        answer = wanted()
        if answer:
            return answer
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-20_000:])


def check_what_it_believes(venue: Venue, key: Credentials, trade: dict[str, Any]) -> None:
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
    assert [(c["method"], c["path"], c["reason"]) for c in venue.calls(key, 1000) if c["code"]] == []
