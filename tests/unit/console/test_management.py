"""What the management side leaves behind in the vault: nothing of what was refused, replaced, removed or erased."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sparekey.access.commands import ChangePassword, EnrolTotp, EraseAccount
from sparekey.access.shard import AccessShard
from sparekey.access.state import Key
from sparekey.console.management import Management
from sparekey.console.refused import ManagementRefused
from sparekey.market.participants import SeededParticipants
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.calls import CallLog
from sparekey.storage.journal import MemoryJournal
from sparekey.storage.vault import SecretUnavailable, Vault
from sparekey.terms.clocktime import HOUR_US
from sparekey.terms.reasons import Reason
from sparekey.venue.spot_shard import SpotShard

EMAIL = "ann@example.com"
NOON_US = 1_700_000_000_000_000


class Office:
    """A management side over shards in memory, with the clock in the test's hand."""

    def __init__(self, folder: Path) -> None:
        self.now_us = NOON_US
        clocks = Clocks(lambda: self.now_us)
        access = AccessShard()
        spot: SpotShard = SpotShard(SeededParticipants(lambda symbol: spot.state.rules(symbol)))
        self.access = access.state
        self.vault = Vault(":memory:", bytes(32))
        sequencer = Sequencer(
            MemoryJournal(),
            {"access": access, "spot": spot},
            {"access": clocks.policy_us, "spot": clocks.wire_us},
            asyncio.get_running_loop().call_soon,
        )
        self.sequencer = sequencer
        self.management = Management(
            sequencer, self.access, spot.state, self.vault, clocks, CallLog(folder), sandbox=True
        )

    async def account(self) -> int:
        created = await self.management.create_account(EMAIL, kyc="approved", totp=True)
        account_id: int = created["accountId"]
        return account_id

    def key(self, document: dict[str, Any]) -> Key:
        key = self.access.key_by_api_key(document["apiKey"])
        assert key is not None
        return key

    def holds(self, vault_id: str) -> bool:
        try:
            return bool(self.vault.open(vault_id))
        except SecretUnavailable:
            return False


def in_office(work: Callable[[Office], Awaitable[None]], folder: Path) -> None:
    async def run() -> None:
        await work(Office(folder))

    asyncio.run(run())


def sealed(office: Office) -> int:
    """How many secrets of HMAC keys the vault holds."""
    rows: list[Any] = office.vault._database.execute(
        "SELECT vault_id FROM secrets WHERE kind = 'hmac-secret'"
    ).fetchall()
    return len(rows)


async def refused(asked: Awaitable[Any], reason: Reason) -> None:
    with pytest.raises(ManagementRefused) as error:
        await asked
    assert error.value.refusal.reason is reason
    assert str(error.value).endswith(reason.fix)


def test_renewed_credentials_leave_nothing_of_those_that_their_holder_chose(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account = office.access.accounts[await office.account()]
        chosen = {kind: office.vault.seal("account-100000001", kind, "chosen", b"x") for kind in ("password", "totp")}
        office.sequencer.submit("access", ChangePassword(account.account_id, chosen["password"]))
        office.sequencer.submit("access", EnrolTotp(account.account_id, chosen["totp"]))
        renewed = await office.management.renew_credentials(EMAIL)
        assert not any(map(office.holds, chosen.values()))
        assert office.vault.open(account.totp_vault_id).decode() == renewed["totpSecret"]
        assert office.vault.open(account.password_vault_id).startswith(b"$argon2id$")

    in_office(work, tmp_path)


def test_a_refused_rotation_leaves_no_secret_behind(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        management = office.management
        await office.account()
        old = await management.create_key(EMAIL, label="bot")
        await refused(management.rotate_key(old["apiKey"], overlap="31d"), Reason.OVERLAP_INVALID)
        await refused(management.create_key(EMAIL, label=""), Reason.LABEL_INVALID)
        assert sealed(office) == 1
        await management.rotate_key(old["apiKey"], overlap="1h")
        await refused(management.rotate_key(old["apiKey"], overlap="1h"), Reason.KEY_IN_ROTATION)
        assert sealed(office) == 2

    in_office(work, tmp_path)


def test_the_secret_of_a_replaced_key_goes_when_its_successor_is_rotated(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        management = office.management
        await office.account()
        first = await management.create_key(EMAIL, label="bot")
        first_vault_id = office.key(first).vault_id
        second = await management.rotate_key(first["apiKey"], overlap="1h")
        assert office.holds(first_vault_id)
        office.now_us += HOUR_US
        third = await management.rotate_key(second["apiKey"], overlap="1h")
        assert office.key(first).status == "deleted"
        assert not office.holds(first_vault_id)
        assert office.vault.open(office.key(third).vault_id).decode() == third["secretKey"]
        assert office.vault.open(office.key(second).vault_id).decode() == second["secretKey"]

    in_office(work, tmp_path)


def test_a_removed_authenticators_seed_is_forgotten_unless_a_new_one_came(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        management = office.management
        account = office.access.accounts[await office.account()]
        vault_id = account.totp_vault_id
        await management.remove_totp(EMAIL)
        assert not office.holds(vault_id)
        await management.add_totp(EMAIL)
        # Somebody turns a new one on while the removal of the old one becomes durable.
        _, added = await asyncio.gather(management.remove_totp(EMAIL), management.add_totp(EMAIL))
        assert added["totpSecret"]
        assert office.holds(account.totp_vault_id)

    in_office(work, tmp_path)


def test_of_an_erased_account_the_vault_holds_nothing(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        management = office.management
        account_id = await office.account()
        await management.create_key(EMAIL, label="bot")
        await management.erase(EMAIL)
        rows: list[Any] = office.vault._database.execute(
            "SELECT count(*) FROM secrets WHERE subject = ?", (f"account-{account_id}",)
        ).fetchall()
        assert rows == [(0,)]
        await refused(management.erase(EMAIL), Reason.ACCOUNT_UNKNOWN)

    in_office(work, tmp_path)


def test_an_erasure_that_a_crash_cut_off_is_finished_at_the_next_start(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account_id = await office.account()
        await office.management.create_account("ben@example.com", kyc="approved", totp=True)
        office.sequencer.submit("access", EraseAccount(account_id))
        assert office.vault.knows(f"account-{account_id}")
        office.management.finish_deletions()
        assert not office.vault.knows(f"account-{account_id}")
        assert office.management.show_account("ben@example.com")["email"] == "ben@example.com"

    in_office(work, tmp_path)


def test_thirty_of_fifty_keys_asked_for_at_once_are_made(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        management = office.management
        await office.account()
        asked = [management.create_key(EMAIL, label=f"bot {number}") for number in range(50)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        made = [one for one in outcomes if isinstance(one, dict)]
        refusals = [one for one in outcomes if isinstance(one, ManagementRefused)]
        assert (len(made), len(refusals)) == (30, 20)
        assert {one.refusal.reason for one in refusals} == {Reason.KEY_LIMIT}
        assert sealed(office) == 30

    in_office(work, tmp_path)
