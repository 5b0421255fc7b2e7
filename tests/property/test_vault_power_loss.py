"""A power cut loses no sealed secret: what `seal` returned opens afterwards, whatever else the disk kept."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import apsw
import pytest

from sparekey.access.shard import AccessShard
from sparekey.console.management import Management
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.frames import decode_batch
from sparekey.sequencer.ports import Batch
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.calls import CallLog
from sparekey.storage.journal import MemoryJournal
from sparekey.storage.vault import SecretUnavailable, Vault
from sparekey.venue.liquidity import NoParticipants
from sparekey.venue.spot_shard import SpotShard
from tests.power_cut_disk import PowerCutDisk

KEK = bytes(range(32))
SEEDS = 40
LONG_SEEDS = 600


class Life:
    """A vault's owner across power cuts: what was sealed for good, what was erased for good."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.folder = folder / "0"
        self.folder.mkdir()
        self.sealed: dict[str, bytes] = {}
        self.erased: set[str] = set()
        #: What the last, interrupted call may or may not have done.
        self.open_questions: set[str] = set()

    def run_until_cut(self, number: int) -> None:
        disk = PowerCutDisk(f"vault-{self.seed}-{number}", cut_after=self.rng.randrange(150))
        vault = None
        try:
            vault = Vault(self.folder / "vault.db", KEK, vfs=disk.name)
            while True:
                self.act(vault)
        except apsw.Error:
            assert disk.off
        finally:
            if vault is not None:
                try:
                    vault.close()
                except apsw.Error:
                    pass
        survived = self.folder.with_name(str(number + 1))
        disk.survivors(survived, self.rng)
        disk.unregister()
        self.folder = survived

    def act(self, vault: Vault) -> None:
        account = self.rng.randrange(6)
        subject = f"account-{account}"
        roll = self.rng.random()
        if roll < 0.8:
            name = f"KEY{self.rng.randrange(4)}"
            clear = self.rng.randbytes(self.rng.choice((20, 64, 500)))
            vault_id = f"hmac-secret/{subject}/{name}"
            self.open_questions = {vault_id}
            assert vault.seal(subject, "hmac-secret", name, clear) == vault_id
            self.sealed[vault_id] = clear
            self.erased.discard(vault_id)
        elif roll < 0.9:
            mine = {vault_id for vault_id in self.sealed if f"/{subject}/" in vault_id}
            self.open_questions = mine
            vault.erase(subject)
            self.settle(mine)
        else:
            vault_id = self.rng.choice([*self.sealed, "hmac-secret/account-0/KEY0"])
            self.open_questions = {vault_id}
            vault.forget(vault_id)
            self.settle({vault_id})
        self.open_questions = set()

    def settle(self, gone: set[str]) -> None:
        for vault_id in gone:
            self.sealed.pop(vault_id, None)
        self.erased |= gone

    def check(self) -> None:
        vault = Vault(self.folder / "vault.db", KEK)
        for vault_id, clear in self.sealed.items():
            if vault_id not in self.open_questions:
                assert vault.open(vault_id) == clear
        for vault_id in self.erased - self.open_questions:
            with pytest.raises(SecretUnavailable):
                vault.open(vault_id)
        # From here on, the interrupted call either happened or did not.
        for vault_id in self.open_questions:
            try:
                self.sealed[vault_id] = vault.open(vault_id)
                self.erased.discard(vault_id)
            except SecretUnavailable:
                self.sealed.pop(vault_id, None)
                self.erased.add(vault_id)
        self.open_questions = set()
        vault.close()


def live(folder: Path, seed: int) -> int:
    life = Life(folder, seed)
    kept = 0
    for number in range(4):
        life.run_until_cut(number)
        life.check()
        kept += len(life.sealed)
    return kept


def test_what_was_sealed_survives_a_power_cut_and_what_was_erased_does_not(tmp_path: Path) -> None:
    kept = 0
    for seed in range(SEEDS):
        (tmp_path / str(seed)).mkdir()
        kept += live(tmp_path / str(seed), seed)
    assert kept > SEEDS  # else nothing was put to the test


@pytest.mark.long
@pytest.mark.timeout(900)
def test_what_was_sealed_survives_many_power_cuts(tmp_path: Path) -> None:
    for seed in range(SEEDS, LONG_SEEDS):
        (tmp_path / str(seed)).mkdir()
        live(tmp_path / str(seed), seed)


def test_the_disk_of_these_tests_loses_what_is_not_synced(tmp_path: Path) -> None:
    """The control: with synchronous=OFF the same cuts do lose sealed secrets."""
    lost = 0
    for seed in range(SEEDS):
        rng = random.Random(seed)
        (tmp_path / str(seed)).mkdir()
        disk = PowerCutDisk(f"careless-{seed}")
        vault = Vault(tmp_path / str(seed) / "vault.db", KEK, vfs=disk.name)
        vault._database.pragma("synchronous", "OFF")
        vault_id = vault.seal("account-1", "hmac-secret", "KEY1", b"one")
        disk.survivors(tmp_path / f"{seed}-after", rng)
        vault.close()
        disk.unregister()
        try:
            Vault(tmp_path / f"{seed}-after" / "vault.db", KEK).open(vault_id)
        except (SecretUnavailable, apsw.Error):
            lost += 1
    assert lost


class CutAtEveryCommit(MemoryJournal):
    """At each commit the power might go: what the vault's disk would keep must open all that the commit names."""

    def __init__(self, disk: PowerCutDisk, folder: Path, shard: AccessShard) -> None:
        super().__init__()
        self.disk = disk
        self.folder = folder
        self.shard = shard
        self.opened: list[str] = []

    def append(self, batch: Batch) -> None:
        named = [
            vault_id
            for record in decode_batch(batch)
            if record.shard == "access"
            for event in self.shard.decode_events(record.events)
            for vault_id in (getattr(event, "vault_id", ""), getattr(event, "password_vault_id", ""))
            if vault_id
        ]
        for attempt in range(5):
            after = self.folder / f"{batch.first}-{attempt}"
            self.disk.survivors(after, random.Random(attempt))
            vault = Vault(after / "vault.db", KEK)
            self.opened += [vault_id for vault_id in named if vault.open(vault_id)]
            vault.close()
        super().append(batch)


def test_whatever_the_journal_names_was_sealed_for_good_before(tmp_path: Path) -> None:
    disk = PowerCutDisk("named")
    vault = Vault(tmp_path / "vault.db", KEK, vfs=disk.name)
    shard, spot = AccessShard(), SpotShard(NoParticipants())
    journal = CutAtEveryCommit(disk, tmp_path, shard)
    clocks = Clocks(lambda: 1_700_000_000_000_000)

    async def live() -> list[dict[str, Any]]:
        sequencer = Sequencer(
            journal,
            {"access": shard, "spot": spot},
            {"access": clocks.policy_us, "spot": clocks.wire_us},
            asyncio.get_running_loop().call_soon,
        )
        calls = CallLog(tmp_path / "calls")
        management = Management(sequencer, shard.state, spot.state, vault, clocks, calls, sandbox=True)
        made = []
        for number in range(3):
            account = await management.create_account(f"trader-{number}@example.org", kyc="approved", totp=True)
            made += [await management.create_key(account["email"], label=f"bot {number}") for _ in range(3)]
        return made

    made = asyncio.run(live())
    assert len(made) == 9
    assert set(journal.opened) >= {
        f"hmac-secret/account-{100_000_001 + at // 3}/{made[at]['apiKey']}" for at in range(9)
    }
    assert len(set(journal.opened)) == 9 + 3 + 3  # secrets, passwords, authenticators
    vault.close()
    disk.unregister()


def test_a_full_disk_refuses_to_seal_and_keeps_what_is_sealed(tmp_path: Path) -> None:
    disk = PowerCutDisk("full-vault", free_bytes=300_000)
    vault = Vault(tmp_path / "vault.db", KEK, vfs=disk.name)
    sealed: list[str] = []
    with pytest.raises(apsw.FullError):
        while True:
            vault_id = vault.seal(f"account-{len(sealed) % 3}", "hmac-secret", f"KEY{len(sealed)}", bytes(200))
            sealed.append(vault_id)
    assert len(sealed) > 5
    assert all(vault.open(vault_id) == bytes(200) for vault_id in sealed)
    with pytest.raises(SecretUnavailable):
        vault.open(f"hmac-secret/account-{len(sealed) % 3}/KEY{len(sealed)}")
    # A new subject's data key must not be remembered when it could not be kept.
    with pytest.raises(apsw.FullError):
        for number in range(1_000):
            vault.seal(f"another-{number}", "email", "address", bytes(200))
    disk.free_bytes = None
    sealed.append(vault.seal("another-0", "email", "late", b"room again"))
    vault.close()
    disk.unregister()
    again = Vault(tmp_path / "vault.db", KEK)
    assert all(again.open(vault_id) for vault_id in sealed)
    again.close()
