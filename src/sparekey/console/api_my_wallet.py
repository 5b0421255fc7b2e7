"""What a signed-in holder's account holds and did, over the management API: enough to see what a key did."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from sparekey.access.state import Key
from sparekey.console import answers
from sparekey.console.api_contract import PREFIX, refusals, routed
from sparekey.console.api_session import TOKEN, Here, bearers
from sparekey.console.refused import ManagementRefused
from sparekey.console.sessions import Sessions
from sparekey.console.statements import Statements
from sparekey.storage.archive import Fill
from sparekey.terms.clocktime import MILLISECOND_US
from sparekey.terms.money import format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.effects import ClosedOrder
from sparekey.venue.orders import Order

_MOST = 500

OneSymbol = Annotated[str, Query(max_length=40, description="Only of this symbol.", examples=["BTCUSDT"])]
Limit = Annotated[int, Query(ge=1, le=_MOST)]


def wallet_routes(sessions: Sessions, statements: Statements) -> list[APIRouter]:
    router = APIRouter(
        prefix=f"{PREFIX}/me", route_class=routed(bearers(sessions).full), tags=["me"], dependencies=[Depends(TOKEN)]
    )

    def known(symbol: str) -> str:
        if symbol and symbol not in statements.symbols():
            raise ManagementRefused(Refusal(Reason.SYMBOL_UNKNOWN))
        return symbol

    @router.get("/wallet", response_model=list[answers.HoldingShown], responses=refusals())
    async def show_wallet(session: Here) -> list[dict[str, Any]]:
        """Show what the account holds, the most worth first."""
        return [
            {
                "asset": one.asset,
                "free": format_money(one.free),
                "locked": format_money(one.locked),
                "worth": None if one.worth is None else format_money(one.worth),
            }
            for one in statements.holdings(session.account_id)
            if one.total
        ]

    @router.get("/orders/open", response_model=list[answers.OrderShown], responses=refusals(400))
    async def list_open_orders(session: Here, symbol: OneSymbol = "", limit: Limit = 100) -> list[dict[str, Any]]:
        """List open orders, the newest first, and which key placed each."""
        orders = statements.open_orders(session.account_id, known(symbol))[:limit]
        return [_order(order, statements.key_of(order)) for order in orders]

    @router.get("/orders/closed", response_model=list[answers.OrderShown], responses=refusals(400))
    async def list_closed_orders(session: Here, symbol: OneSymbol = "", limit: Limit = 100) -> list[dict[str, Any]]:
        """List orders that are over, the newest first, and which key placed each."""
        orders, _ = statements.closed_orders(session.account_id, known(symbol), None, limit)
        return [_order(order, statements.key_of(order)) for order in orders]

    @router.get("/fills", response_model=list[answers.FillShown], responses=refusals(400))
    async def list_fills(session: Here, symbol: OneSymbol = "", limit: Limit = 100) -> list[dict[str, Any]]:
        """List fills, the newest first, and which key placed their orders."""
        fills, _ = statements.fills(session.account_id, known(symbol), None, limit)
        keys = statements.keys_of_fills(session.account_id, fills)
        return [_fill(fill, keys.get((fill.symbol, fill.order_id))) for fill in fills]

    return [router]


def _order(order: Order | ClosedOrder, key: Key | None) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "clientOrderId": order.client_order_id,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "price": format_money(order.price),
        "stopPrice": format_money(order.stop_price),
        "quantity": format_money(order.quantity),
        "executed": format_money(order.executed),
        "createdMs": order.created_us // MILLISECOND_US,
        "apiKey": None if key is None else key.api_key,
    }


def _fill(fill: Fill, key: Key | None) -> dict[str, Any]:
    return {
        "symbol": fill.symbol,
        "tradeId": fill.trade_id,
        "orderId": fill.order_id,
        "side": "BUY" if fill.is_buyer else "SELL",
        "price": format_money(fill.price),
        "quantity": format_money(fill.quantity),
        "quoteQuantity": format_money(fill.quote_quantity),
        "fee": format_money(fill.fee),
        "feeAsset": fill.fee_asset,
        "maker": fill.is_maker,
        "timeMs": fill.time_us // MILLISECOND_US,
        "apiKey": None if key is None else key.api_key,
    }
