"""The whole guide to API keys, from signing up to a deleted key, as a reader follows it in the browser."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable

import ccxt
import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.e2e.ccxt_urls import ccxt_urls
from tests.e2e.console.letterbox import code_in
from tests.e2e.console.steps import Operator, Reader, SavedKey
from tests.signing import Caller
from tests.venue import Credentials, Venue

SYMBOL = "BTC/USDT"
HERE = ("127.0.0.1",)
TRADING = ("Spot and margin trading",)
REFUSED = "-2015"


def bot(venue: Venue, key: SavedKey, private_pem: str = "") -> ccxt.binance:
    return ccxt.binance(
        {
            "urls": ccxt_urls(venue.url),
            "enableRateLimit": False,
            "apiKey": key.api_key,
            "secret": private_pem or key.secret,
        }
    )


def pems(private: RSAPrivateKey | Ed25519PrivateKey) -> tuple[str, str]:
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def signature(private: RSAPrivateKey | Ed25519PrivateKey, command: str) -> str:
    """What the command on the page prints, which signs the text that it holds."""
    text = command.partition("printf '")[2].partition("'")[0].replace("\\n", "\n").encode()
    assert text
    if isinstance(private, RSAPrivateKey):
        return base64.b64encode(private.sign(text, padding.PKCS1v15(), SHA256())).decode()
    return base64.b64encode(private.sign(text)).decode()


def test_a_reader_follows_the_guide_from_sign_up_to_a_deleted_key(
    somebody_new: Callable[..., Reader], operator: Operator, shared_venue: Venue
) -> None:
    ann = somebody_new()
    page = ann.at
    ann.sign_up()
    ann.sign_in()

    # Prerequisites: identity verification and two-factor authentication. The page says what is missing, and the way.
    ann.go_to_api_management()
    page.reads("Verify your identity", "Turn on two-factor authentication")
    page.reads_not("Create API key")
    page.follow("Verify your identity")
    ann.apply_for_verification()
    operator.sign_in()
    operator.approve(ann.person)
    ann.go_to_api_management()
    page.reads_not("Verify your identity")
    page.follow("Turn on two-factor authentication")
    ann.turn_on_authenticator()
    shared_venue.fund(ann.person.email, USDT="50000", BTC="1")

    # Steps 1 to 4: the page, the type, the label, the security verification.
    ann.create_key("Quant Strategy A", permissions=TRADING, ips=HERE)
    page.reads("create the API key “Quant Strategy A”")
    ann.verify()

    # Step 5: the secret is shown this once.
    page.reads("shows the secret key once")
    shown_at = page.path
    key = ann.save_key()
    page.open(shown_at)
    page.acknowledge(410)
    page.reads("The secret was shown once")
    assert key.secret not in page.page.content()

    # The key works: an order that is filled.
    trader = bot(shared_venue, key)
    bought = trader.create_order(SYMBOL, "market", "buy", 0.01)
    assert bought["status"] == "closed" and bought["filled"] == 0.01
    ann.open_key(key)
    page.reads("POST /api/v3/order")
    page.open("/my/fills")
    page.reads("BTCUSDT")

    # An IP whitelist: only requests from there are executed, and the page knows why others are not.
    ann.open_key(key)
    page.follow("Edit restrictions")
    page.fill("IP whitelist", "127.0.0.9")
    page.submit("Review the changes")
    page.submit("Go on to verification")
    ann.verify()
    with pytest.raises(ccxt.BaseError, match=REFUSED):
        trader.fetch_balance()
    ann.open_key(key)
    page.reads("ip-foreign", "127.0.0.9")
    page.follow("ip-foreign")
    page.reads("Add the address to the key's whitelist")

    # Regular rotation, with time to change over; then the new key's overlap ends the old one.
    ann.open_key(key)
    page.follow("Edit restrictions")
    page.fill("IP whitelist", "127.0.0.1")
    page.submit("Review the changes")
    page.submit("Go on to verification")
    ann.verify()
    ann.open_key(key)
    page.follow("Rotate")
    page.tick("1 day")
    page.submit("Go on to verification")
    ann.verify()
    successor = ann.save_key()
    trader.fetch_balance()
    ann.open_key(successor)
    page.reads("Who still uses the old key", "127.0.0.1")
    bot(shared_venue, successor).fetch_balance()
    shared_venue.clock.advance("24h")
    with pytest.raises(ccxt.BaseError, match=REFUSED):
        trader.fetch_balance()
    ann.sign_in()
    ann.open_key(key)
    page.reads("It was replaced")

    # Deleting: the one way out for who lost a secret.
    ann.open_key(successor)
    page.follow("Delete")
    page.fill("Type the label to confirm", "Quant Strategy A")
    page.submit("Go on to verification")
    ann.verify()
    page.reads("deleted")
    with pytest.raises(ccxt.BaseError, match=REFUSED):
        bot(shared_venue, successor).fetch_balance()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["Ed25519", "RSA"])
def test_a_self_generated_key_is_proven_and_signs_orders(
    trader_new: Callable[..., Reader], shared_venue: Venue, kind: str
) -> None:
    ann = trader_new()
    private = Ed25519PrivateKey.generate() if kind == "Ed25519" else generate_private_key(65_537, 2048)
    private_pem, public_pem = pems(private)
    ann.create_key("Market Monitor", permissions=TRADING, ips=HERE, public_pem=public_pem)
    ann.at.fill("What it prints", signature(private, ann.at.page.locator("#proof-command").inner_text()))
    ann.at.submit("Go on to verification")
    ann.verify()
    key = ann.save_key()
    assert key.secret == ""
    bought = bot(shared_venue, key, private_pem).create_order(SYMBOL, "market", "buy", 0.01)
    assert bought["filled"] == 0.01


@pytest.mark.long
def test_a_self_generated_key_is_not_created_with_a_signature_of_another_one(trader_new: Callable[..., Reader]) -> None:
    ann = trader_new()
    public_pem = pems(Ed25519PrivateKey.generate())[1]
    ann.create_key("Market Monitor", ips=HERE, public_pem=public_pem)
    command = ann.at.page.locator("#proof-command").inner_text()
    ann.at.fill("What it prints", signature(Ed25519PrivateKey.generate(), command))
    ann.at.submit("Go on to verification")
    assert "signature" in ann.at.refusal().lower()
    ann.go_to_api_management()
    ann.at.reads("0 of 30 keys")


def test_a_private_key_that_is_pasted_is_refused_and_does_not_come_back(trader_new: Callable[..., Reader]) -> None:
    ann = trader_new()
    private_pem = pems(Ed25519PrivateKey.generate())[0]
    ann.create_key("Market Monitor", ips=HERE, public_pem=private_pem)
    assert "private" in ann.at.refusal().lower()
    assert private_pem.splitlines()[1] not in ann.at.page.content()


@pytest.mark.long
def test_a_call_without_the_permission_is_refused_and_explained(
    trader_new: Callable[..., Reader], shared_venue: Venue
) -> None:
    ann = trader_new()
    ann.create_key("Tax tool", ips=HERE)
    ann.verify()
    key = ann.save_key()
    reader = bot(shared_venue, key)
    assert reader.fetch_balance()["USDT"]["free"] == 50_000
    with pytest.raises(ccxt.BaseError, match=REFUSED):
        reader.create_order(SYMBOL, "market", "buy", 0.01)
    ann.open_key(key)
    ann.at.reads("permission-missing", "asked for, not allowed")


@pytest.mark.long
def test_too_many_calls_are_refused_and_explained(trader_new: Callable[..., Reader], shared_venue: Venue) -> None:
    ann = trader_new()
    ann.create_key("Hasty bot", ips=("127.0.0.7",))
    ann.verify()
    key = ann.save_key()
    # From an address of its own, since addresses share the limit.
    calling = Caller(shared_venue.url, Credentials(key.api_key, key.secret, "", ann.person.email), "127.0.0.7")
    answers = iter(lambda: calling("GET", "/api/v3/account").status, 429)
    assert set(itertools.islice(answers, 300)) == {200}  # of weight 10 each; the minute may end between them
    assert calling("GET", "/api/v3/account").status == 429
    ann.open_key(key)
    ann.at.reads("ip-weight-exceeded")
    ann.at.follow("ip-weight-exceeded")
    ann.at.reads("What helps")


@pytest.mark.long
def test_a_key_without_a_whitelist_expires_after_90_days_and_says_so_before(
    trader_new: Callable[..., Reader], shared_venue: Venue
) -> None:
    ann = trader_new()
    ann.create_key("No whitelist")
    ann.verify()
    key = ann.save_key()
    bot(shared_venue, key).fetch_balance()
    shared_venue.clock.advance("86d")
    ann.sign_in()
    ann.open_key(key)
    ann.at.reads("It expires in")
    bot(shared_venue, key).fetch_balance()
    shared_venue.clock.advance("4d")
    ann.sign_in()
    ann.open_key(key)
    ann.at.reads("Expired", "a key without an IP whitelist lives 90 days")
    with pytest.raises(ccxt.BaseError, match=REFUSED):
        bot(shared_venue, key).fetch_balance()
    ann.open_key(key)
    ann.at.reads("key-expired")


@pytest.mark.long
def test_the_31st_key_is_refused_and_a_deleted_one_makes_room(
    trader_new: Callable[..., Reader], shared_venue: Venue
) -> None:
    ann = trader_new(keys=30)
    ann.go_to_api_management()
    ann.at.reads("All 30 places are taken")
    ann.at.reads_not("Create API key")
    ann.at.open("/my/settings/api-management/create")
    ann.at.fill("Label", "One too many")
    ann.at.submit("Go on to verification")
    assert "30" in ann.at.refusal()


def test_without_identity_check_and_second_factor_the_form_says_what_is_missing_and_the_way(
    somebody_new: Callable[..., Reader],
) -> None:
    ann = somebody_new()
    ann.sign_up()
    ann.sign_in()
    ann.at.open("/my/settings/api-management/create")
    ann.at.reads("Some things are missing before keys work")
    assert ann.at.page.locator("#create-form").count() == 0
    ann.at.follow("Turn on two-factor authentication")
    ann.turn_on_authenticator()
    ann.at.open("/my/settings/api-management/create")
    ann.at.reads("One thing is missing before keys work")
    ann.at.follow("Verify your identity")
    assert ann.at.path == "/my/settings/verification"


@pytest.mark.long
def test_codes_by_sms_are_a_second_factor_as_well(
    somebody_new: Callable[..., Reader], operator: Operator, shared_venue: Venue
) -> None:
    ann = somebody_new()
    ann.sign_up()
    ann.sign_in()
    operator.sign_in()
    ann.turn_on_sms("+44 7400 123456", operator)
    shared_venue.ask("PUT", f"/accounts/{ann.person.email}/kyc", {"kyc": "approved"})
    ann.create_key("Quant Strategy A")
    ann.at.submit("Send an SMS")
    ann.at.fill("Code from the SMS", code_in(operator.newest_sms()))
    ann.at.fill("Code from the e-mail", ann.mailed_code())
    ann.at.submit("Verify and go on")
    assert ann.save_key().secret
