"""What happens to open orders when a key may no longer trade: they stay, and the key cannot touch them (decision 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sparekey.access.commands import (
    AdvanceClock,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    EnrolTotp,
    PanicKeys,
    RemoveTotp,
    RestoreAccess,
    RotateKey,
    SetKyc,
    SuspendAccess,
)
from sparekey.access.credentials import api_key_from
from sparekey.access.gate import Gate
from sparekey.access.limits import IpLedger
from sparekey.access.state import Key
from sparekey.assemble import ACCESS, SPOT, load_policy
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.money import ONE, parse_money
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import CancelOpenOrders, CancelOrder, Fund, PlaceOrder
from sparekey.venue.events import Filled
from tests.make_golden import Session
from tests.unit.access.venue_of_keys import HOME, PAYLOAD, entropy, sign_hmac

PRICE = 30_000 * ONE
TRADING = Permission.SPOT_AND_MARGIN_TRADING


class Street:
    """Ada has a bid that rests, placed with her key; Bob can sell to her."""

    def __init__(self) -> None:
        self.session = session = Session()
        session.list_everything()
        self.ada, self.bob = (session.key(session.account(name), name) for name in ("ada", "bob"))
        for key in (self.ada, self.bob):
            for asset, amount in (("USDT", "100000"), ("BTC", "5")):
                session.must(SPOT, Fund(key.account_id, asset, parse_money(amount)))
        self.admission = session.admission(self.ada)
        session.must(SPOT, PlaceOrder(self.admission, "BTCUSDT", "BUY", "LIMIT", "GTC", ONE, price=PRICE))
        (self.order,) = session.spot.open_orders(self.ada.account_id)
        self.gate = Gate(session.access, IpLedger(load_policy("classic")), lambda key: b"secret")

    def gate_refuses(self, key: Key) -> Reason | None:
        now_us = self.session.now_us
        outcome = self.gate.admit(
            HOME,
            key.api_key.encode(),
            TRADING,
            now_us,
            5_000_000,
            PAYLOAD,
            sign_hmac("secret")(PAYLOAD),
            now_us,
            now_us + self.session.access.policy_offset_us,
        )
        return outcome.reason if isinstance(outcome, Refusal) else None

    def open_orders(self) -> list[int]:
        return [order.order_id for order in self.session.spot.open_orders(self.ada.account_id)]


LOSSES: dict[str, tuple[Callable[[Key], Any], Reason]] = {
    "KYC is withdrawn": (lambda key: SetKyc(key.account_id, "rejected"), Reason.ACCOUNT_UNVERIFIED),
    "the last factor goes": (lambda key: RemoveTotp(key.account_id), Reason.ACCOUNT_UNVERIFIED),
    "the account is suspended": (lambda key: SuspendAccess(key.account_id, "bans"), Reason.ACCOUNT_SUSPENDED),
    "the key is disabled": (lambda key: DisableKey(key.key_id), Reason.KEY_DISABLED),
    "the key is deleted": (lambda key: DeleteKey(key.key_id), Reason.KEY_DELETED),
    "the owner panics": (lambda key: PanicKeys(key.account_id, "a leak"), Reason.KEY_DISABLED),
    "the key may only read": (lambda key: EditKey(key.key_id, permissions=1), Reason.PERMISSION_MISSING),
    "the key expires": (lambda key: AdvanceClock(91 * DAY_US), Reason.KEY_EXPIRED),
    "the key is replaced": (
        lambda key: RotateKey(key.key_id, 0, api_key_from(entropy("new")), "secret/new"),
        Reason.KEY_ROTATED,
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_open_orders_stay_and_fill_when_their_key_may_trade_no_more(loss: str) -> None:
    command, expected = LOSSES[loss]
    street = Street()
    session, spot = street.session, street.session.spot
    locked = spot.balances(street.ada.account_id)["USDT"].locked
    session.must(ACCESS, command(street.ada))
    # Refused at the gate from now on, and what was admitted before is refused behind it.
    assert street.gate_refuses(street.ada) is expected
    for late in (
        CancelOrder(street.admission, "BTCUSDT", street.order.order_id),
        CancelOpenOrders(street.admission, "BTCUSDT"),
        PlaceOrder(street.admission, "BTCUSDT", "SELL", "MARKET", quantity=ONE),
    ):
        outcome = session.sequencer.submit(SPOT, late)
        assert isinstance(outcome, Refusal)
        assert outcome.reason is Reason.KEY_FENCED
    # The order and what it holds are untouched, and it trades on.
    assert street.open_orders() == [street.order.order_id]
    assert spot.balances(street.ada.account_id)["USDT"].locked == locked > 0
    bob = session.admission(street.bob)
    events = session.must(SPOT, PlaceOrder(bob, "BTCUSDT", "SELL", "MARKET", quantity=ONE))
    assert any(isinstance(event, Filled) for event in events)
    assert street.open_orders() == []
    assert spot.balances(street.ada.account_id)["BTC"].free > 5 * ONE * 99 // 100


BACK: dict[str, tuple[Callable[[Key], Any], Callable[[Key], Any]]] = {
    "KYC": (lambda key: SetKyc(key.account_id, "pending"), lambda key: SetKyc(key.account_id, "approved")),
    "the factor": (lambda key: RemoveTotp(key.account_id), lambda key: EnrolTotp(key.account_id, "totp/again")),
    "API access": (lambda key: SuspendAccess(key.account_id, ""), lambda key: RestoreAccess(key.account_id, "")),
    "the key": (lambda key: DisableKey(key.key_id), lambda key: EnableKey(key.key_id)),
}


@pytest.mark.parametrize("what", BACK)
def test_a_key_that_is_back_finds_its_orders_and_may_cancel_them(what: str) -> None:
    lose, regain = BACK[what]
    street = Street()
    session = street.session
    session.must(ACCESS, lose(street.ada))
    assert street.gate_refuses(street.ada) is not None
    session.must(ACCESS, regain(street.ada))
    assert street.gate_refuses(street.ada) is None
    session.must(SPOT, CancelOrder(session.admission(street.ada), "BTCUSDT", street.order.order_id))
    assert street.open_orders() == []


def test_a_replacement_may_cancel_what_the_old_key_placed() -> None:
    street = Street()
    session = street.session
    new = session.rotate(street.ada, "new", 0)
    session.must(SPOT, CancelOrder(session.admission(new), "BTCUSDT", street.order.order_id))
    assert street.open_orders() == []


def test_losing_the_whitelist_takes_withdrawals_in_the_same_commit_and_fences_the_key() -> None:
    session = Session()
    mask = int(Permission.READING | Permission.WITHDRAWALS)
    key = session.key(session.account("ada"), "ada", whitelist=("127.0.0.1",), permissions=mask)
    seq = session.access.seq
    events = session.must(ACCESS, EditKey(key.key_id, whitelist=()))
    assert session.access.seq == seq + 1
    assert len(events) == 1
    assert key.permissions == int(Permission.READING)
    assert session.access_shard.narrowed_keys(events) == [key.key_id]
    assert session.spot.fences[key.key_id] == session.access.seq
