"""A holder's pages and the markets, on a whole platform: they tell what the API tells, and to nobody else."""

from __future__ import annotations

import hashlib
import re
import time
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from sparekey.access.state import Account
from sparekey.console import pages
from sparekey.console.pages.shell import SESSION_COOKIE
from tests.page_reader import PageReader, Seen
from tests.signing import Caller
from tests.venue import Credentials, Venue

FUNDS = {"USDT": "100000", "BTC": "2", "EUR": "5"}
TRADING = ("reading", "spot-and-margin-trading")


class Holder:
    """An account with a key, and a browser in which it is signed in."""

    def __init__(self, venue: Venue, **account: Any) -> None:
        self.venue = venue
        self.email = venue.account(**account)
        self.reader = PageReader(venue._running.asgi)
        self.sign_in()

    def sign_in(self) -> None:
        async def open_session() -> str:
            sessions, account_id = self.venue._running._sessions, self.account.account_id
            return sessions.open(account_id, ip="127.0.0.1", agent="test", proven=("totp",))[1]

        self.reader.cookies[SESSION_COOKIE] = self.venue._await(open_session())

    @property
    def account(self) -> Account:
        running = self.venue._running
        return running._access.accounts[running._management.account_id_of(self.email)]  # type: ignore[index]

    def key(self, **options: Any) -> Credentials:
        return self.venue.key(email=self.email, **{"permissions": TRADING, **options})

    def see(self, address: str) -> Seen:
        return self.venue._await(self.reader.get(address))  # type: ignore[no-any-return]


def rows(page: Seen, id: str) -> list[list[str]]:
    """The cells of a table's body, as words."""
    found = re.search(rf'<table[^>]*id="{id}".*?<tbody>(.*?)</tbody>', page.text, re.DOTALL)
    if found is None:
        return []
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in found[1].split("</tr>")]
    return [[" ".join(unescape(re.sub(r"<[^>]*>", " ", cell)).split()) for cell in row] for row in cells if row]


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    one = Venue(tmp_path_factory.mktemp("venue") / "data")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def trader(venue: Venue) -> Holder:
    """Has bought 0.5 BTC for 30,000 in five fills, and has two orders waiting."""
    holder = Holder(venue, fund=FUNDS)
    key, other = holder.key(), venue.key(fund=FUNDS, permissions=TRADING)
    caller, seller = Caller(venue.url, key), Caller(venue.url, other)
    for _ in range(5):
        for one, side in ((seller, "SELL"), (caller, "BUY")):
            answer = one.limit_order(symbol="BTCUSDT", side=side, price="60000", quantity="0.1")
            assert answer.status == 200, answer
    for symbol, price in (("BTCUSDT", "50000"), ("ETHUSDT", "2500")):
        caller.limit_order(symbol=symbol, side="BUY", price=price, quantity="0.1")
    caller.limit_order(symbol="BTCUSDT", side="BUY", price="50000", quantity="100")
    return holder


# --- who may look ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/my", "/my/wallet", "/my/orders?symbol=BTCUSDT", "/my/fills"])
def test_an_accounts_pages_are_for_who_is_signed_in(venue: Venue, address: str) -> None:
    seen: Seen = venue._await(PageReader(venue._running.asgi).get(address))
    assert seen.status == 303
    assert seen.headers["location"] == f"/sign-in?next={urllib.parse.quote(address, safe='')}"


def test_nobody_sees_what_another_account_holds_or_did(venue: Venue, trader: Holder) -> None:
    other = Holder(venue)
    assert rows(other.see("/my/wallet"), "balances") == []
    page = other.see("/my/orders")
    assert rows(page, "open") == rows(page, "closed") == []
    assert rows(other.see("/my/fills"), "fills") == []
    assert rows(other.see("/markets/BTCUSDT"), "fills") == []
    overview = other.see("/my")
    assert "Refused lately" in overview.words and "balance" not in overview.reasons
    assert trader.email not in overview.text


# --- what they tell --------------------------------------------------------------------------------------------------


def test_the_wallet_tells_what_the_api_tells_and_what_it_is_worth(venue: Venue, trader: Holder) -> None:
    page = trader.see("/my/wallet")
    told = {row[0].split()[0]: row[1:3] for row in rows(page, "balances")}
    caller = Caller(venue.url, trader.key())
    api = caller("GET", "/api/v3/account", {"omitZeroBalances": "true"}).body["balances"]
    assert {asset: [float(amount) for amount in amounts] for asset, amounts in told.items()} == {
        row["asset"]: [float(row["free"]), float(row["locked"])] for row in api
    }
    # 70,000 USDT are left of 100,000, and 2.5 BTC (less fees) stand at 60,000; nothing values the EUR.
    assert float((page.by_id("total") or "").replace(",", "")) == pytest.approx(70_000 + 2.5 * 60_000, rel=0.001)
    assert ["EUR Euro", "5", "0", "no price"] in rows(page, "balances")


def test_assets_are_searched_by_symbol_and_name(trader: Holder) -> None:
    assert [row[0] for row in rows(trader.see("/my/wallet?q=bitc"), "balances")] == ["BTC Bitcoin"]
    assert [row[0] for row in rows(trader.see("/my/wallet?q=sol"), "balances")] == ["SOL Solana"]
    assert "No asset is called that" in trader.see("/my/wallet?q=%3Cb%3E").words
    assert len(rows(trader.see("/my/wallet?all=1"), "balances")) > len(rows(trader.see("/my/wallet"), "balances"))


def test_orders_and_fills_stand_there_with_the_key_that_placed_them(trader: Holder) -> None:
    page = trader.see("/my/orders")
    opened, closed = rows(page, "open"), rows(page, "closed")
    assert {(row[1], row[4], row[5]) for row in opened} == {
        ("BTCUSDT", "0 / 0.1", "new"),
        ("ETHUSDT", "0 / 0.1", "new"),
    }
    assert [row[1:6] for row in closed] == [["BTCUSDT", "Buy limit", "60000", "0.1 / 0.1", "filled"]] * 5
    fills = rows(trader.see("/my/fills"), "fills")
    assert [row[1:7] for row in fills] == [["BTCUSDT", "Buy taker", "60000", "0.1", "6000", "0.0001 BTC"]] * 5
    assert {row[-1] for row in (*opened, *closed, *fills)} == {"test"}
    assert rows(trader.see("/my/orders?symbol=ETHUSDT"), "closed") == []
    assert len(rows(trader.see("/my/orders?symbol=ETHUSDT"), "open")) == 1


def test_long_lists_are_paged_and_each_row_stands_on_one_page(trader: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparekey.console.pages.account.PAGE_ROWS", 2)
    for address, id in (("/my/fills", "fills"), ("/my/orders?symbol=BTCUSDT", "closed")):
        counts, seen = [], trader.see(address)
        while True:
            counts.append(len(rows(seen, id)))
            older = re.search(r'id="older" href="([^"]+)"', seen.text)
            if older is None:
                break
            seen = trader.see(unescape(older[1]))
            assert "Newest" in seen.words
        assert counts == [2, 2, 1]


@pytest.mark.parametrize(
    "query", ["before=1", "before=1.BTCUSDT.x.0", "before=-1.BTCUSDT.1.0", f"before={'9' * 40}.BTCUSDT.1.0", "symbol=X"]
)
@pytest.mark.parametrize("path", ["/my/orders", "/my/fills"])
def test_an_address_that_no_page_made_is_no_page(trader: Holder, path: str, query: str) -> None:
    assert trader.see(f"{path}?{query}").status == 404


def test_a_refused_call_stands_on_the_overview_with_its_exact_reason(venue: Venue, trader: Holder) -> None:
    key = trader.key(ips=("127.0.0.2",))
    assert Caller(venue.url, key)("GET", "/api/v3/account").code == -2015
    page = trader.see("/my")
    refusals = page.text[page.text.index('id="refusals"') :]
    assert 'href="/reasons/ip-foreign"' in refusals and "GET /api/v3/account" in refusals
    assert 'href="/reasons/balance-insufficient"' in refusals
    assert key.secret not in page.text


def test_a_keys_calls_are_drawn_by_hour_and_day(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)  # or the day may end between the two calls
    today = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d")
    holder = Holder(venue)
    key = holder.key(permissions=("reading",))
    caller = Caller(venue.url, key)
    assert caller("GET", "/api/v3/account").status == 200
    assert caller("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"}).code == -2015
    key_id = holder.account.key_ids[-1]
    page = holder.see(f"/my/settings/api-management/{key_id}/usage")
    assert page.by_id("heat-text") == f"2 calls, 1 of them refused. The busiest day was {today} with 2."
    assert 'class="heat-4"' in page.text and 'class="heat-refused"' in page.text
    assert [today, "2", "1"] in rows(page, "days")


def test_what_is_missing_before_keys_is_named_with_the_way_to_it(venue: Venue) -> None:
    holder = Holder(venue, kyc="none", totp=False)
    page = holder.see("/my")
    assert re.findall(r'<li class="(done|due)">', page.text) == ["due", "due", "due"]
    for address in ("/my/settings/verification", "/my/settings/security", "/my/settings/api-management/create"):
        assert f'href="{address}"' in page.text
    venue.ask("PUT", f"/accounts/{holder.email}/kyc", {"kyc": "rejected"})
    assert "Rejected. See why" in holder.see("/my").words
    venue.ask("PUT", f"/accounts/{holder.email}/kyc", {"kyc": "approved"})
    venue.ask("POST", f"/accounts/{holder.email}/totp")
    page = holder.see("/my")
    assert re.findall(r'<li class="(done|due)">', page.text) == ["done", "done", "due"]
    assert "On: authenticator" in page.words
    holder.key()
    assert 'id="steps"' not in holder.see("/my").text


def test_keys_that_will_end_have_ended_or_are_old_are_pointed_out(tmp_path: Path) -> None:
    venue = Venue(tmp_path / "data")
    holder = Holder(venue)
    holder.key(ips=())
    holder.key()
    assert 'id="attention"' not in holder.see("/my").text
    for days, told in (("80d", ["Expires soon"]), ("11d", ["Expired", "Old: rotate it"])):
        venue.clock.advance(days)
        holder.sign_in()
        page = holder.see("/my")
        attention = page.text[page.text.index('id="attention"') : page.text.index('id="worth"')]
        assert re.findall(r'<span class="tag (?:warn|bad)">([^<]+)', attention) == told
    venue.stop()


def test_a_suspended_account_is_told_so(venue: Venue) -> None:
    holder = Holder(venue)
    venue.ask("POST", f"/accounts/{holder.email}/suspend", {"reason": "a test"})
    assert "account-suspended" in holder.see("/my").reasons


# --- markets ---------------------------------------------------------------------------------------------------------


def test_a_symbols_page_tells_its_day_its_candles_and_ones_own_fills(trader: Holder) -> None:
    page = trader.see("/markets/BTCUSDT?interval=1h")
    assert page.by_id("last") == "60000"
    assert [row[1:4] for row in rows(page, "fills")] == [["Buy", "60000", "0.1"]] * 5
    assert 'data-interval="1h"' in page.text and 'data-decimals="2"' in page.text and 'data-tick="0.01"' in page.text
    assert "60000" in (page.by_id("candle-table") or "")


def test_a_symbols_page_is_for_everybody_and_names_the_charts_maker(venue: Venue) -> None:
    reader = PageReader(venue._running.asgi)
    page: Seen = venue._await(reader.get("/markets/BTCUSDT"))
    assert page.status == 200
    assert "TradingView Lightweight Charts™, © 2026 TradingView, Inc." in page.words
    assert 'href="https://www.tradingview.com/"' in page.text
    for name in ("candles.js", "vendor/NOTICE.txt", "vendor/lightweight-charts.LICENSE.txt"):
        address = re.search(rf'(?:href|src)="(/static/[^"]+/{re.escape(name)})"', page.text)
        assert address is not None
        seen: Seen = venue._await(reader.get(address[1]))
        assert seen.status == 200
    assert "Sign in to see your own fills" in page.words


def test_a_symbol_that_never_traded_has_a_page_that_says_so(trader: Holder) -> None:
    page = trader.see("/markets/ADABTC")
    assert page.status == 200 and "Nothing traded yet." in page.words
    assert "nothing traded yet" in trader.see("/markets").words


def test_a_symbol_is_chosen_without_a_script(trader: Holder) -> None:
    assert trader.see("/markets?symbol=ethusdt").headers["location"] == "/markets/ETHUSDT"
    page = trader.see("/markets?symbol=%3Cb%3EDOGE")
    assert page.status == 200 and "There is no symbol <B>DOGE" in page.words and "<B>" not in page.text


@pytest.mark.parametrize("address", ["/markets/NOPE", "/markets/btcusdt", "/markets/BTCUSDT?interval=7m"])
def test_a_market_that_does_not_exist_is_no_page(trader: Holder, address: str) -> None:
    assert trader.see(address).status == 404


def test_the_vendored_chart_is_the_file_that_was_published() -> None:
    path = Path(pages.__file__).parent.parent / "static/vendor/lightweight-charts.js"
    # dist/lightweight-charts.standalone.production.mjs of lightweight-charts 5.2.1 in the npm registry
    assert hashlib.sha256(path.read_bytes()).hexdigest() == (
        "1bb1ee79f9d4dd17261b53d930f7a8995748276f80e7ba0e24412b5068062f5f"
    )
