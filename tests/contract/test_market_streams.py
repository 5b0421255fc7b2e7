"""Payloads of market streams against bodies from outside: the documentation's samples and the official SDK's models.

Names and their order are written down by hand from Binance spot, "WebSocket Streams" (2026); the models are those of
`binance-sdk-spot`, which take no string for a number nor the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import binance_sdk_spot.websocket_streams.models as sdk
import pytest

from tests.market_desk import MarketDesk

_TICKER = "e E s p P w x c Q b B a A o h l v q O C F L n"
_ROLLING = "e E s p P o h l c w v q O C F L n"
_MINI = "e E s c o h l v q"
_CANDLE = "t T s i f L o c h l v n x q V Q B"

#: By stream: the type of event (some have none), the names of a sample's fields, and the SDK's model of it.
SAMPLES: dict[str, tuple[str, str, Any]] = {
    "btcusdc@referencePrice": ("referencePrice", "e s r t", sdk.ReferencePriceResponse),
    "btcusdt@aggTrade": ("aggTrade", "e E s a p q f l T m M", sdk.AggTradeResponse),
    "btcusdt@trade": ("trade", "e E s t p q T m M", sdk.TradeResponse),
    "btcusdt@kline_1m": ("kline", "e E s k", sdk.KlineResponse),
    "btcusdt@kline_1d@+08:00": ("kline", "e E s k", sdk.KlineOffsetResponse),
    "btcusdt@miniTicker": ("24hrMiniTicker", _MINI, sdk.MiniTickerResponse),
    "!miniTicker@arr": ("24hrMiniTicker", _MINI, sdk.AllMiniTickerResponseInner),
    "btcusdt@ticker": ("24hrTicker", _TICKER, sdk.TickerResponse),
    "!ticker@arr": ("24hrTicker", _TICKER, sdk.TickerResponse),
    "btcusdt@ticker_1h": ("1hTicker", _ROLLING, sdk.RollingWindowTickerResponse),
    "!ticker_4h@arr": ("4hTicker", _ROLLING, sdk.AllMarketRollingWindowTickerResponseInner),
    "btcusdt@bookTicker": ("", "u s b B a A", sdk.BookTickerResponse),
    "btcusdt@avgPrice": ("avgPrice", "e E s i w T", sdk.AvgPriceResponse),
    "btcusdt@depth5@100ms": ("", "lastUpdateId bids asks", sdk.PartialBookDepthResponse),
    "btcusdt@depth@100ms": ("depthUpdate", "e E s U u b a", sdk.DiffBookDepthResponse),
}


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The last payload of each stream after some seconds of a market."""
    desk = MarketDesk(tmp_path_factory.mktemp("streams"))
    desk.seconds(3)
    ear = desk.listen(*SAMPLES)
    desk.seconds(4)
    yield dict(ear.heard)
    desk.close()


@pytest.mark.parametrize("stream", SAMPLES)
def test_a_payload_has_the_documented_fields_in_their_order_and_the_sdks_types(
    heard: dict[str, Any], stream: str
) -> None:
    event, names, model = SAMPLES[stream]
    payload = heard[stream]
    item = payload[0] if stream.startswith("!") else payload
    assert list(item) == names.split()
    if "k" in item:
        assert list(item["k"]) == _CANDLE.split()
    assert item.get("e", "") == event
    parsed = model.from_dict(item)
    # The model of partial books declares this one, and then does not know it by its name on the wire.
    assert set(parsed.additional_properties) <= {"lastUpdateId"}
    assert parsed.to_dict() == item


def test_every_model_of_the_sdk_is_tried_except_that_of_block_trades() -> None:
    """Of which there never is one here."""
    about_accounts = {
        "BalanceUpdate",
        "EventStreamTerminated",
        "ExecutionReport",
        "ExternalLockUpdate",
        "ListStatus",
        "ListStatusOInner",
        "OutboundAccountPosition",
        "OutboundAccountPositionBInner",
        "UserDataStreamEventsResponse",
    }
    parts = {"AllMarketRollingWindowTickerResponse", "AllMiniTickerResponse", "KlineResponseK", "BlockTradeResponse"}
    models = {name for name in dir(sdk) if name[0].isupper() and not name.endswith("Enum")}
    assert models - about_accounts - parts == {model.__name__ for _, _, model in SAMPLES.values()}
