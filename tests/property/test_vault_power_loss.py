"""A power cut loses no sealed secret: what `seal` returned opens afterwards, whatever else the disk kept."""

from __future__ import annotations

import random
from pathlib import Path

import apsw
import pytest

from sparekey.storage.vault import SecretUnavailable, Vault
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
