"""Sub-accounts over sockets: their keys sign and trade, and what one route changes another one shows at once."""

from __future__ import annotations

import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.signing import Answer, Caller
from tests.traces import everything_written, spellings
from tests.venue import Credentials, Venue

SUB = "/sapi/v1/sub-account"
KEY = f"{SUB}/subAccountApi"
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
NO_RELATION = {"code": -5021, "msg": "This parent sub have no relation"}
MAIN_ONLY = {"code": -4006, "msg": "Support main account only."}
KEY_REFUSED = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}


class Master:
    """A funded master with a key that may everything; `ask` demands success."""

    def __init__(self, venue: Venue, **fund: str) -> None:
        self.venue = venue
        self.key = venue.key(fund=fund or {"USDT": "1000", "BTC": "1"})
        self.call = Caller(venue.url, self.key)

    def ask(self, method: str, path: str, **parameters: Any) -> Any:
        answer = self.call(method, path, parameters)
        assert answer.status == 200, (path, answer.body)
        return answer.body

    def refused(self, method: str, path: str, **parameters: Any) -> Any:
        answer = self.call(method, path, parameters)
        assert answer.status >= 400, (path, answer.body)
        return answer.body

    def sub_account(self, name: str = "desk1") -> str:
        email: str = self.ask("POST", f"{SUB}/virtualSubAccount", subAccountString=name)["email"]
        return email

    def sub_key(self, email: str, **changes: Any) -> Credentials:
        parameters = {"email": email, "apiName": "bot", "status": "1", "canTrade": "true"} | changes
        made = self.ask("POST", KEY, **parameters)
        return Credentials(made["apiKey"], made["secretKey"], "", email)

    def give(self, email: str, asset: str, amount: str, **more: Any) -> Any:
        return self.ask(
            "POST",
            f"{SUB}/universalTransfer",
            toEmail=email,
            fromAccountType="SPOT",
            toAccountType="SPOT",
            asset=asset,
            amount=amount,
            **more,
        )


@pytest.fixture
def master(venue: Venue) -> Master:
    return Master(venue)


def balances(call: Caller) -> dict[str, tuple[str, str]]:
    answer = call("GET", "/api/v3/account")
    assert answer.status == 200, answer.body
    return {row["asset"]: (row["free"], row["locked"]) for row in answer.body["balances"] if float(row["free"])}


def test_a_sub_accounts_key_signs_and_trades_with_what_its_master_gave_it(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    bot = Caller(venue.url, master.sub_key(email))
    assert balances(bot) == {}
    master.give(email, "USDT", "400")
    assert balances(bot) == {"USDT": ("400.00000000", "0.00000000")}
    assert balances(master.call)["USDT"] == ("600.00000000", "0.00000000")

    order = bot.limit_order(quantity="0.01", price="20000")
    assert order.status == 200, order.body
    shown = master.ask("GET", "/sapi/v4/sub-account/assets", email=email)["balances"]
    assert [(row["asset"], row["free"], row["locked"]) for row in shown if row["asset"] == "USDT"] == [
        ("USDT", "200.00000000", "200.00000000")
    ]
    # The master neither sees nor cancels the order, and has an order count of its own.
    assert master.ask("GET", "/api/v3/openOrders", symbol="BTCUSDT") == []
    gone = {"symbol": "BTCUSDT", "orderId": order.body["orderId"]}
    assert master.refused("DELETE", "/api/v3/order", **gone)["code"] == -2011
    assert bot("DELETE", "/api/v3/order", gone).body["status"] == "CANCELED"
    assert master.ask("GET", "/api/v3/rateLimit/order")[0]["count"] == 0
    assert bot("GET", "/api/v3/rateLimit/order").body[0]["count"] == 1


def test_funds_go_to_and_fro_and_each_transfer_once(venue: Venue, master: Master) -> None:
    one, two = master.sub_account("one"), master.sub_account("two")
    first = master.give(one, "USDT", "300", clientTranId="a-1")
    assert master.give(one, "USDT", "300", clientTranId="a-1") == first == {"tranId": 1, "clientTranId": "a-1"}
    spot = {"fromAccountType": "SPOT", "toAccountType": "SPOT", "asset": "USDT"}
    between = master.ask("POST", f"{SUB}/universalTransfer", **spot, fromEmail=one, toEmail=two, amount="100.5")
    back = master.ask("POST", f"{SUB}/universalTransfer", **spot, fromEmail=two, amount="0.5")
    assert balances(master.call)["USDT"][0] == "700.50000000"
    held = {
        email: master.ask("GET", "/sapi/v3/sub-account/assets", email=email)["balances"][0]["free"]
        for email in (one, two)
    }
    assert held == {one: 199.5, two: 100.0}

    history = master.ask("GET", f"{SUB}/universalTransfer")
    assert history["totalCount"] == 3
    assert [row["tranId"] for row in history["result"]] == [back["tranId"], between["tranId"], 1]
    assert (history["result"][0]["fromEmail"], history["result"][0]["toEmail"]) == (two, master.key.email)
    assert {row["status"] for row in history["result"]} == {"SUCCESS"}
    asked = {
        "from the master": {"fromEmail": master.key.email},
        "to two": {"toEmail": two},
        "by id": {"clientTranId": "a-1"},
        "second page": {"page": 2, "limit": 2},
        "long ago": {"endTime": 1_000_000_000_000},
    }
    found = {
        name: [row["tranId"] for row in master.ask("GET", f"{SUB}/universalTransfer", **by)["result"]]
        for name, by in asked.items()
    }
    assert found == {"from the master": [1], "to two": [2], "by id": [1], "second page": [1], "long ago": []}


def test_a_transfer_that_cannot_be_made_says_why(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    stranger = Master(venue).sub_account()
    right = {"toEmail": email, "fromAccountType": "SPOT", "toAccountType": "SPOT", "asset": "USDT", "amount": "1"}
    master.give(email, "USDT", "1", clientTranId="x")

    def code(**changes: Any) -> tuple[int, str]:
        parameters = {name: value for name, value in (right | changes).items() if value is not None}
        refused = master.refused("POST", f"{SUB}/universalTransfer", **parameters)
        return refused["code"], refused["msg"]

    assert code(amount="100000") == (-5013, "Asset transfer failed: insufficient balance")
    assert code(asset="NOPE") == (-4018, "We don't have this asset.")
    assert code(toEmail=stranger) == code(toEmail="nobody@example.com") == tuple(NO_RELATION.values())
    assert code(toEmail=None) == code(toEmail=master.key.email) == (-4001, "Invalid operation.")
    assert code(toAccountType="USDT_FUTURE") == (-5011, "future account not exists.")
    assert code(toAccountType="MARGIN") == (-3003, "Margin account does not exist.")
    assert code(clientTranId="x", amount="2")[0] == -1130
    assert code(toAccountType="SPOTS")[0] == code(amount="0")[0] == -1130
    assert code(amount="-1")[0] == code(amount="1e3")[0] == -1100
    assert code(amount="0.000000001")[0] == -1111
    assert code(amount=None)[0] == -1102
    assert code(toEmail="no address") == (-4003, "Your input email is invalid.")
    both = master.refused("GET", f"{SUB}/universalTransfer", fromEmail=email, toEmail=email)
    assert both["code"] == -1128
    assert balances(master.call)["USDT"][0] == "999.00000000"


def test_another_masters_sub_account_is_as_unknown_as_none(venue: Venue, master: Master) -> None:
    stranger = Master(venue)
    email = stranger.sub_account()
    key = {"email": email, "subAccountApiKey": stranger.sub_key(email).api_key}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"{SUB}/list", {}),
        ("GET", f"{SUB}/status", {}),
        ("GET", "/sapi/v4/sub-account/assets", {}),
        ("GET", KEY, {}),
        ("POST", KEY, {"apiName": "x", "status": "1"}),
        ("DELETE", KEY, key),
        ("POST", f"{KEY}Permission", key | {"canTrade": "false"}),
        ("GET", f"{KEY}/ipRestriction", key),
        ("POST", "/sapi/v2/sub-account/subAccountApi/ipRestriction", key | {"status": "1"}),
        ("DELETE", f"{KEY}/ipRestriction/ipList", key | {"ipAddress": HERE}),
        ("POST", f"{KEY}/ipRestriction", key | {"ipRestrict": "true"}),
        ("POST", f"{KEY}/ipRestriction/ipList", key | {"ipAddress": HERE}),
    ]
    for method, path, parameters in calls:
        assert master.refused(method, path, **({"email": email} | parameters)) == NO_RELATION, path
        unknown = {"email": "nobody@example.com"}
        assert master.refused(method, path, **(parameters | unknown)) == NO_RELATION, path
    number = stranger.ask("GET", f"{SUB}/list")["subAccounts"][0]["subUserId"]
    by_number = {"subAccountId": number, "accountApiKey": key["subAccountApiKey"]}
    legacy = "/sapi/v1/account/apiRestrictions/ipRestriction"
    assert stranger.ask("GET", legacy, **by_number)["ipRestrict"] == "false"
    assert master.refused("GET", legacy, **by_number) == NO_RELATION
    # One's own account, ordinary accounts, and keys of other sub-accounts are no way in either.
    assert master.refused("GET", KEY, email=master.key.email) == NO_RELATION
    other = stranger.sub_account("other")
    wrong = stranger.refused("DELETE", KEY, email=other, subAccountApiKey=key["subAccountApiKey"])
    own = stranger.refused("DELETE", KEY, email=email, subAccountApiKey=stranger.key.api_key)
    assert wrong == own == {"code": -1130, "msg": "Data sent for parameter 'subAccountApiKey' is not valid."}


def test_a_sub_account_manages_no_keys(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    bot = Caller(venue.url, master.sub_key(email))
    assert bot("GET", KEY, {"email": email}).body == MAIN_ONLY
    assert bot("POST", KEY, {"email": email, "apiName": "x", "status": "1"}).body == MAIN_ONLY
    assert bot("POST", f"{SUB}/virtualSubAccount", {"subAccountString": "x"}).body == MAIN_ONLY
    assert bot("GET", f"{SUB}/list").body == MAIN_ONLY


def test_sub_accounts_are_listed_page_by_page(master: Master) -> None:
    emails = [master.sub_account(name) for name in ("a", "B", "c")]
    assert all(email.endswith("noemail.com") and "_virtual@" in email for email in emails)
    assert emails[1].startswith("b_virtual@")
    assert len({email.partition("@")[2] for email in emails}) == 3
    first = master.ask("GET", f"{SUB}/list")["subAccounts"]
    assert [row["email"] for row in first] == emails[:1]  # the documented default is one
    pages = [
        [row["email"] for row in master.ask("GET", f"{SUB}/list", limit=2, page=page)["subAccounts"]]
        for page in (1, 2, 3)
    ]
    assert pages == [emails[:2], emails[2:], []]
    one = master.ask("GET", f"{SUB}/list", email=emails[2])["subAccounts"]
    assert [row["email"] for row in one] == emails[2:]
    assert master.ask("GET", f"{SUB}/list", isFreeze="true", limit=200)["subAccounts"] == []
    assert len(master.ask("GET", f"{SUB}/list", isFreeze="false", limit=200)["subAccounts"]) == 3
    assert [row["email"] for row in master.ask("GET", f"{SUB}/status")] == emails
    for wrong in ("", "a b", "ä", "x" * 33, "a@b", "<script>"):
        assert master.refused("POST", f"{SUB}/virtualSubAccount", subAccountString=wrong)["code"] in (-1100, -1102)


def test_permissions_given_and_taken_decide_the_keys_very_next_call(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    key = master.sub_key(email, canTrade="false")
    bot = Caller(venue.url, key)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
    named = {"email": email, "subAccountApiKey": key.api_key}
    assert bot("POST", "/api/v3/order/test", order).body == KEY_REFUSED
    changed = master.ask("POST", f"{KEY}Permission", **named, canTrade="true", canUniversalTransfer="true")
    assert bot("POST", "/api/v3/order/test", order).status == 200
    restrictions = bot("GET", "/sapi/v1/account/apiRestrictions").body
    assert restrictions["enableSpotAndMarginTrading"] and restrictions["permitsUniversalTransfer"]
    (row,) = master.ask("GET", KEY, email=email)["rows"]
    assert row == {"email": email} | {name: changed[name] for name in changed}
    # What is not sent stays.
    assert master.ask("POST", f"{KEY}Permission", **named, canTrade="false")["canUniversalTransfer"] is True
    assert bot("POST", "/api/v3/order/test", order).body == KEY_REFUSED
    assert master.refused("POST", f"{KEY}Permission", **named, canFuturesTrade="true") == {
        "code": -5011,
        "msg": "future account not exists.",
    }
    # A loan needs the right to trade.
    assert master.refused("POST", f"{KEY}Permission", **named, canMarginLoanRepay="true")["code"] == -4001
    assert master.refused("POST", f"{KEY}Permission", **named, canVanillaOptions="true")["code"] == -1020
    assert master.refused("POST", f"{KEY}Permission", **named, canTrade="yes")["code"] == -1130


def test_addresses_decide_the_keys_very_next_call(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    key = master.sub_key(email, status="2", ipAddress=HERE)
    named = {"email": email, "subAccountApiKey": key.api_key}
    here, elsewhere = Caller(venue.url, key, HERE), Caller(venue.url, key, ELSEWHERE)
    change, remove = "/sapi/v2/sub-account/subAccountApi/ipRestriction", f"{KEY}/ipRestriction/ipList"

    def served() -> list[bool]:
        return [call("GET", "/api/v3/account").status == 200 for call in (here, elsewhere)]

    def shown() -> tuple[str, list[str]]:
        answer = master.ask("GET", f"{KEY}/ipRestriction", **named)
        assert answer["apiKey"] == key.api_key
        return answer["ipRestrict"], answer["ipList"]

    assert (served(), shown()) == ([True, False], ("true", [HERE]))
    added = master.ask("POST", change, **named, status="2", ipAddress=f"{ELSEWHERE},10.0.0.0/24")
    assert (added["status"], added["ipList"]) == ("2", ["10.0.0.0/24", HERE, ELSEWHERE])
    assert (served(), shown()[0]) == ([True, True], "true")
    removed = master.ask("DELETE", remove, **named, ipAddress=f"{HERE},10.0.0.0/24")
    assert removed["ipList"] == [ELSEWHERE]
    assert served() == [False, True]
    # Taking the last one away never opens the key.
    assert master.ask("DELETE", remove, **named, ipAddress=ELSEWHERE)["ipRestrict"] == "true"
    assert (served(), shown()) == ([False, False], ("true", ["0.0.0.0"]))
    assert "ipList" not in master.ask("POST", change, **named, status="1")
    assert (served(), shown()) == ([True, True], ("false", []))
    # The first version: on without addresses, then one by one.
    assert master.ask("POST", f"{KEY}/ipRestriction", **named, ipRestrict="true")["ipRestrict"] == "true"
    assert served() == [False, False]
    assert master.ask("POST", f"{KEY}/ipRestriction/ipList", **named, ipAddress=HERE)["ip"] == HERE
    assert (served(), shown()) == ([True, False], ("true", [HERE]))
    assert master.ask("POST", f"{KEY}/ipRestriction", **named, ipRestrict="false")["ipRestrict"] == "false"
    assert served() == [True, True]

    for wrong in ("nonsense", "0.0.0.0/0", "10.0.0.1/8", "127.0.0.1,,", "1.2.3.4;5.6.7.8"):
        refused = master.refused("POST", change, **named, status="2", ipAddress=wrong)
        assert refused["code"] == -1130, wrong
    assert master.refused("DELETE", remove, **named, ipAddress="192.0.2.1")["code"] == -1130
    assert master.refused("POST", change, **named, status="1", ipAddress=HERE)["code"] == -1106
    assert master.refused("POST", change, **named, status="3")["code"] == -1130
    assert master.refused("POST", change, **named, status="4")["code"] == -1130
    too_many = ",".join(f"10.0.0.{2 * number}" for number in range(31))
    assert master.refused("POST", change, **named, status="2", ipAddress=too_many)["code"] == -1130
    assert served() == [True, True]


def test_a_deleted_key_is_refused_on_its_next_call_and_gone_from_every_list(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    key = master.sub_key(email)
    bot = Caller(venue.url, key)
    assert bot("GET", "/api/v3/account").status == 200
    named = {"email": email, "subAccountApiKey": key.api_key}
    assert master.ask("DELETE", KEY, **named) == {}
    assert bot("GET", "/api/v3/account").body == KEY_REFUSED
    assert venue.last_call(key)["reason"] == "key-deleted"
    assert master.ask("GET", KEY, email=email) == {"total": 0, "rows": []}
    assert master.refused("DELETE", KEY, **named)["code"] == -1130
    assert master.refused("GET", f"{KEY}/ipRestriction", **named)["code"] == -1130


def test_a_secret_is_shown_once_and_kept_by_no_cache(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    parameters = {"email": email, "apiName": "bot", "status": "1"}
    made = master.call("POST", KEY, parameters)
    assert made.headers["Cache-Control"] == "no-store"
    secret = made.body["secretKey"]
    named = {"email": email, "subAccountApiKey": made.body["apiKey"]}
    assert len(secret) == 64
    for path, more in (
        (KEY, {}),
        (f"{KEY}/ipRestriction", {}),
        (f"{KEY}Permission", {"canTrade": "true"}),
    ):
        answer = master.call("POST" if more else "GET", path, named | more)
        assert answer.status == 200 and secret not in str(answer.body)
    assert secret not in str(venue.ask("GET", f"/keys/{made.body['apiKey']}"))


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_sub_account_takes_a_public_key_of_type_ed25519_alone(venue: Venue, master: Master, kind: str) -> None:
    private: Any = Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(65_537, 2048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    secret_pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    email = master.sub_account()
    parameters = {"email": email, "apiName": "bot", "status": "1", "publicKey": pem}
    answer = master.call("POST", KEY, parameters)
    pasted = master.refused("POST", KEY, **(parameters | {"publicKey": secret_pem}))
    assert pasted == {"code": -1130, "msg": "Data sent for parameter 'publicKey' is not valid."}
    assert venue.last_call(master.key)["reason"] == "private-key-pasted"
    if kind == "rsa":
        assert answer.body == pasted
        return
    assert answer.body["secretKey"] is None
    bot = Caller(venue.url, Credentials(answer.body["apiKey"], "", secret_pem, email))
    assert bot("GET", "/api/v3/account").status == 200


@pytest.mark.venue(profile="off")
def test_a_sub_account_has_exactly_thirty_places(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    keys = [master.sub_key(email) for _ in range(30)]
    late = {"email": email, "apiName": "late", "status": "1"}
    assert master.refused("POST", KEY, **late) == {"code": -4001, "msg": "Invalid operation."}
    assert venue.last_call(master.key)["reason"] == "key-limit"
    pages = [master.ask("GET", KEY, email=email, page=page, size=20)["rows"] for page in (1, 2)]
    assert [row["apikey"] for row in pages[0] + pages[1]] == [key.api_key for key in keys]
    assert master.ask("GET", KEY, email=email, subAccountApiKey=keys[7].api_key)["total"] == 1
    master.ask("DELETE", KEY, email=email, subAccountApiKey=keys[0].api_key)
    master.sub_key(email)
    assert master.refused("POST", KEY, **late)["code"] == -4001


@pytest.mark.venue(profile="off")
def test_of_fifty_keys_made_at_once_exactly_thirty_come_into_being(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    parameters = {"email": email, "apiName": "bot", "status": "1"}

    def make(_: int) -> Answer:
        return Caller(venue.url, master.key)("POST", KEY, parameters)

    with ThreadPoolExecutor(max_workers=50) as threads:
        answers = list(threads.map(make, range(50)))
    assert sorted(answer.code for answer in answers) == [-4001] * 20 + [0] * 30
    made = {answer.body["apiKey"] for answer in answers if answer.status == 200}
    assert {row["apikey"] for row in master.ask("GET", KEY, email=email, size=100)["rows"]} == made
    assert len(made) == 30


def test_the_account_pays_3000_a_call_and_the_sixty_first_is_refused(venue: Venue, master: Master) -> None:
    """180,000 a minute for each endpoint (wallet REST, "Limits"), whatever address calls."""
    email = master.sub_account()
    other = Master(venue)
    used: list[str] = []
    answers: list[Answer] = []
    while len(answers) < 200 and not (answers and answers[-1].status == 429):
        call = Caller(venue.url, master.key, HERE if len(answers) % 2 else ELSEWHERE)
        answers.append(call("GET", KEY, {"email": email}))
        used.append(answers[-1].headers.get("X-SAPI-USED-UID-WEIGHT-1M", ""))
        assert "X-SAPI-USED-IP-WEIGHT-1M" not in answers[-1].headers
        if used[-1] == "3000":
            del used[:-1], answers[:-1]  # a minute began
    assert answers[-1].status == 429 and answers[-1].code == -1003
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert used[:60] == [str(3000 * number) for number in range(1, 61)]
    assert len(answers) == 61
    # Neither another endpoint nor another account has paid.
    assert master.call("GET", f"{SUB}/list").headers["X-SAPI-USED-IP-WEIGHT-1M"] == "1"
    assert other.call("GET", KEY, {"email": email}).body == NO_RELATION


def test_a_transfer_is_paid_by_the_address_and_by_the_account(master: Master) -> None:
    email = master.sub_account()
    parameters = {"toEmail": email, "fromAccountType": "SPOT", "toAccountType": "SPOT", "asset": "USDT", "amount": "1"}
    answer = master.call("POST", f"{SUB}/universalTransfer", parameters)
    headers = answer.headers
    assert (headers["X-SAPI-USED-IP-WEIGHT-1M"], headers["X-SAPI-USED-UID-WEIGHT-1M"]) == ("1", "360")


def test_a_master_that_loses_its_identity_check_stops_its_sub_accounts(venue: Venue, master: Master) -> None:
    email = master.sub_account()
    bot = Caller(venue.url, master.sub_key(email))
    assert bot("GET", "/api/v3/account").status == 200
    venue.ask("PUT", f"/accounts/{urllib.parse.quote(master.key.email)}/kyc", {"kyc": "rejected"})
    assert bot("GET", "/api/v3/account").body == KEY_REFUSED
    venue.ask("PUT", f"/accounts/{urllib.parse.quote(master.key.email)}/kyc", {"kyc": "approved"})
    assert bot("GET", "/api/v3/account").status == 200


def test_sub_accounts_and_their_keys_outlive_a_restart(tmp_path: Path) -> None:
    venue = Venue(tmp_path / "data", durability="full")
    master = Master(venue)
    email = master.sub_account()
    key = master.sub_key(email)
    master.give(email, "USDT", "25", clientTranId="once")
    venue.stop()
    again = Venue(venue.data, durability="full")
    try:
        assert balances(Caller(again.url, key)) == {"USDT": ("25.00000000", "0.00000000")}
        call = Caller(again.url, master.key)
        assert call("GET", f"{SUB}/list").body["subAccounts"][0]["email"] == email
        parameters = {
            "toEmail": email,
            "fromAccountType": "SPOT",
            "toAccountType": "SPOT",
            "asset": "USDT",
            "amount": "25",
            "clientTranId": "once",
        }
        assert call("POST", f"{SUB}/universalTransfer", parameters).body == {"tranId": 1, "clientTranId": "once"}
        assert balances(Caller(again.url, key)) == {"USDT": ("25.00000000", "0.00000000")}
    finally:
        again.stop()


def test_neither_the_secret_nor_the_address_of_a_sub_account_is_written_in_the_clear(tmp_path: Path) -> None:
    venue = Venue(tmp_path / "data", durability="full")
    try:
        master = Master(venue)
        email = master.sub_account()
        secret = master.sub_key(email).secret
        pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINotARealKey\n-----END PRIVATE KEY-----"
        parameters = {"email": email, "apiName": "x", "status": "1", "publicKey": pem}
        assert master.refused("POST", KEY, **parameters)["code"] == -1130
    finally:
        venue.stop()
    written = list(everything_written(venue.data))
    for hidden in (secret, email, "NotARealKey"):
        for spelling in spellings(hidden):
            assert [where for where, content in written if spelling in content] == []
    assert any(b"SubAccountCreated" in content for _, content in written)  # it is the journal that was looked at


def test_an_erased_sub_account_leaves_its_transfers_and_no_name(venue: Venue, master: Master) -> None:
    email, other = master.sub_account("one"), master.sub_account("two")
    key = Caller(venue.url, master.sub_key(email))
    master.give(email, "USDT", "5")
    venue.ask("DELETE", f"/accounts/{urllib.parse.quote(email)}")
    assert key("GET", "/api/v3/account").body == KEY_REFUSED
    assert [row["email"] for row in master.ask("GET", f"{SUB}/list", limit=200)["subAccounts"]] == [other]
    (row,) = master.ask("GET", f"{SUB}/universalTransfer")["result"]
    assert (row["fromEmail"], row["toEmail"], row["amount"]) == (master.key.email, "", "5.00000000")
    assert master.refused("GET", KEY, email=email) == NO_RELATION


def test_a_sub_account_sends_to_its_master_and_to_its_siblings_and_to_nobody_else(venue: Venue, master: Master) -> None:
    one, two = master.sub_account("one"), master.sub_account("two")
    bot, reader = Caller(venue.url, master.sub_key(one)), Caller(venue.url, master.sub_key(one, canTrade="false"))
    master.give(one, "USDT", "100")
    funds = {"asset": "USDT", "amount": "30"}
    assert bot("POST", f"{SUB}/transfer/subToMaster", funds).body == {"txnId": "2"}
    assert bot("POST", f"{SUB}/transfer/subToSub", funds | {"toEmail": two}).body == {"txnId": "3"}
    held = {
        email: master.ask("GET", "/sapi/v3/sub-account/assets", email=email)["balances"][0]["free"]
        for email in (one, two)
    }
    assert held == {one: 40, two: 30} and balances(master.call)["USDT"][0] == "930.00000000"
    assert [row["tranId"] for row in master.ask("GET", f"{SUB}/universalTransfer")["result"]] == [3, 2, 1]
    for foreign in (Master(venue).sub_account(), master.key.email, "nobody@example.com"):
        assert bot("POST", f"{SUB}/transfer/subToSub", funds | {"toEmail": foreign}).body == NO_RELATION
    assert bot("POST", f"{SUB}/transfer/subToSub", funds | {"toEmail": one}).code == -4001
    assert bot("POST", f"{SUB}/transfer/subToMaster", funds | {"amount": "40.00000001"}).code == -5013
    assert reader("POST", f"{SUB}/transfer/subToMaster", funds).body == KEY_REFUSED
    assert master.refused("POST", f"{SUB}/transfer/subToMaster", **funds) == NO_RELATION
