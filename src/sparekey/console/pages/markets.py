"""What anybody may see of a symbol: its last day as a line, candles as a chart and as a table, and one's own fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.console.charts import price_line
from sparekey.console.pages.shell import Shell
from sparekey.console.pages.spelling import amount
from sparekey.console.statements import Statements
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.money import SCALE_DIGITS
from sparekey.venue.listing import SymbolRules
from sparekey.wire.ports import MarketViews, SpotView, WindowView
from sparekey.wire.spot_market import percent

INTERVALS: Final = ("1s", "1m", "5m", "15m", "1h", "4h", "1d", "1w")
_DEFAULT: Final = "15m"
#: Of the line over a day.
_LINE_INTERVAL, _LINE_POINTS = "15m", 96
_TABLE_ROWS: Final = 24
_FILLS: Final = 50


class Day(NamedTuple):
    """A symbol's last 24 hours. `change` is in percent, "" where nothing traded."""

    rules: SymbolRules
    window: WindowView
    change: str


def routes(
    shell: Shell, spot: SpotView, views: MarketViews, statements: Statements, wire_us: Callable[[], int]
) -> list[Route]:
    def day_of(rules: SymbolRules, now_us: int) -> Day:
        window = views.ticker_window(rules.symbol, now_us - DAY_US, now_us)
        return Day(rules, window, percent(window.last - window.open, window.open)[:-1] if window.open else "")

    def candles(symbol: str, interval: str, limit: int, now_us: int) -> list[Any]:
        return list(
            views.candles(symbol, interval, start_us=None, end_us=None, limit=limit, zone_offset_us=0, now_us=now_us)
        )

    async def show_all(request: Request) -> Response:
        chosen = request.query_params.get("symbol", "").upper()
        if chosen and spot.rules(chosen) is not None:
            return shell.redirect(f"/markets/{chosen}")
        now_us = wire_us()
        return shell.page(
            request,
            "markets/index.html",
            unknown=chosen[:40],
            days=[day_of(rules, now_us) for rules in spot.symbols()],
        )

    async def show_one(request: Request) -> Response:
        rules = spot.rules(request.path_params["symbol"])
        interval = request.query_params.get("interval", _DEFAULT)
        if rules is None or interval not in INTERVALS:
            raise HTTPException(404)
        now_us = wire_us()
        day = day_of(rules, now_us)
        line = candles(rules.symbol, _LINE_INTERVAL, _LINE_POINTS, now_us)
        told = f"{rules.symbol} over 24 hours: "
        told += f"from {amount(line[0].open)} to {amount(line[-1].close)}." if line else "nothing traded."
        session = shell.session(request)
        fills = [] if session is None else statements.fills(session.account_id, rules.symbol, None, _FILLS)[0]
        return shell.page(
            request,
            "markets/symbol.html",
            rules=rules,
            day=day,
            symbols=statements.symbols(),
            intervals=INTERVALS,
            interval=interval,
            decimals=decimals_of(rules.tick_size),
            line=price_line("line", f"{rules.symbol}, 24 hours", told, [candle.close for candle in line], height=200),
            candles=candles(rules.symbol, interval, _TABLE_ROWS, now_us)[::-1],
            signed_in=session is not None,
            fills=fills,
        )

    return [Route("/markets", show_all), Route("/markets/{symbol}", show_one)]


def decimals_of(step: int) -> int:
    """How many decimals a multiple of the step needs: 0.01 → 2."""
    text = str(step)
    return max(SCALE_DIGITS - (len(text) - len(text.rstrip("0"))), 0)
