"""Transfers between two accounts of one master: the books balance, nothing is moved twice, listeners hear of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sparekey.sequencer.recovery import state_digest
from sparekey.terms.admissions import Admission
from sparekey.terms.reasons import Reason
from sparekey.venue import transfers
from sparekey.venue.commands import Fence, TransferFunds
from sparekey.venue.effects import BalanceAdjusted, BalancesReported
from sparekey.venue.events import FundsTransferred
from sparekey.venue.liquidity import NoParticipants
from sparekey.venue.spot_shard import SpotShard
from tests.spot_desk import FOREVER_US, SpotDesk, refused, units

MASTER, SUB = 1, 2


def move(desk: SpotDesk, quantity: str = "1", **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "admission": Admission(MASTER, MASTER, 1, FOREVER_US),
        "master_id": MASTER,
        "from_account_id": MASTER,
        "to_account_id": SUB,
        "asset": "BTC",
        "amount": units(quantity),
    }
    return desk.do(TransferFunds(**(fields | changes)))


def test_a_transfer_moves_free_funds_from_one_account_to_the_other() -> None:
    desk = SpotDesk()
    events = move(desk, "2.5")
    assert [type(event) for event in events] == [FundsTransferred]
    assert (desk.holds(MASTER, "BTC"), desk.holds(SUB, "BTC")) == (("7.5", "0"), ("12.5", "0"))
    assert desk.state.account_updated_us(MASTER) == desk.state.account_updated_us(SUB) == desk.now_us


def test_funds_that_orders_hold_are_not_transferred() -> None:
    desk = SpotDesk()
    desk.rest(MASTER, "SELL", "9", "200")
    assert refused(move(desk, "1.00000001")) is Reason.TRANSFER_BALANCE
    move(desk, "1")
    assert desk.holds(MASTER, "BTC") == ("0", "9")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"asset": "XYZ"}, Reason.ASSET_UNKNOWN),
        ({"amount": 0}, Reason.PARAMETER_INVALID),
        ({"amount": -1}, Reason.PARAMETER_INVALID),
        ({"to_account_id": MASTER}, Reason.TRANSFER_NOWHERE),
        ({"amount": units("10.00000001")}, Reason.TRANSFER_BALANCE),
        ({"asset": "ETH"}, Reason.TRANSFER_BALANCE),
    ],
)
def test_a_transfer_that_cannot_be_made_changes_nothing(changes: dict[str, Any], reason: Reason) -> None:
    desk = SpotDesk()
    before = state_digest(desk.shard)
    assert refused(move(desk, **changes)) is reason
    assert state_digest(desk.shard) == before


def test_a_fenced_admission_moves_nothing() -> None:
    desk = SpotDesk()
    desk.do(Fence(MASTER, 2))
    assert refused(move(desk)) is Reason.KEY_FENCED


def test_the_same_transfer_under_the_same_client_id_is_made_once() -> None:
    desk = SpotDesk()
    move(desk, client_transfer_id="mine")
    assert move(desk, client_transfer_id="mine") == ()
    assert desk.holds(SUB, "BTC") == ("11", "0")
    assert refused(move(desk, "2", client_transfer_id="mine")) is Reason.TRANSFER_ID_USED
    # Another master's ids are other ids.
    move(desk, master_id=3, admission=Admission(3, 3, 1, FOREVER_US), from_account_id=3, client_transfer_id="mine")
    assert desk.holds(SUB, "BTC") == ("12", "0")


def test_both_accounts_streams_tell_of_a_transfer() -> None:
    desk = SpotDesk()
    desk.state.watched |= {MASTER, SUB}
    desk.effects.clear()
    move(desk)
    adjusted = [(one.account_id, one.amount) for one in desk.effects if isinstance(one, BalanceAdjusted)]
    reported = [one.account_id for one in desk.effects if isinstance(one, BalancesReported)]
    assert adjusted == [(MASTER, -units("1")), (SUB, units("1"))]
    assert reported == [MASTER, SUB]


def test_a_state_with_transfers_is_written_down_and_read_whole() -> None:
    desk = SpotDesk()
    assert len(desk.shard.dump()) == 9  # as before there were transfers
    move(desk, client_transfer_id="mine")
    move(desk)
    other = SpotShard(NoParticipants())
    other.load(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.shard.dump())))
    assert state_digest(other) == state_digest(desk.shard)
    assert other.state.transfers.of(MASTER) == desk.state.transfers.of(MASTER)
    assert other.state.transfers.find(MASTER, "mine") is not None
    assert other.state.transfers.next_id == 3


def test_the_oldest_transfers_are_forgotten_and_their_ids_never_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "TRANSFERS_KEPT", 3)
    desk = SpotDesk()
    for number in range(5):
        move(desk, "0.1", client_transfer_id=f"id-{number}")
    assert [one.transfer_id for one in desk.state.transfers.of(MASTER)] == [3, 4, 5]
    assert desk.state.transfers.find(MASTER, "id-1") is None
    other = SpotShard(NoParticipants())
    other.load(desk.shard.dump())
    assert other.state.transfers.next_id == 6
