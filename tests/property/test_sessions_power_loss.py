"""A power cut may cost the newest sign-ins. It brings no ended session, no replaced token and no used link back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec
import pytest

from sparekey.storage.sessions import Link, Session, SessionFile
from tests.power_cut_disk import PowerCutDisk

SEEDS = 30
ACCOUNTS = 3


class Life:
    """A file of sessions across power cuts: which tokens must open nothing any more."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.folder = folder / "0"
        self.folder.mkdir()
        self.number = 0
        self.open: dict[str, Session] = {}
        self.links: set[str] = set()
        self.over: set[str] = set()
        self.links_over: set[str] = set()

    def run_until_cut(self, number: int) -> None:
        disk = PowerCutDisk(f"sessions-{self.seed}-{number}", cut_after=self.rng.randrange(20, 150))
        file = None
        try:
            file = SessionFile(self.folder / "sessions.db", vfs=disk.name)
            while True:
                self.act(file)
        except apsw.Error:
            assert disk.off
        finally:
            if file is not None:
                try:
                    file.close()
                except apsw.Error:
                    pass
        survived = self.folder.with_name(str(number + 1))
        disk.survivors(survived, self.rng)
        disk.unregister()
        self.folder = survived

    def act(self, file: SessionFile) -> None:
        self.number += 1
        token, account_id = f"token-{self.number}", self.rng.randrange(1, ACCOUNTS + 1)
        roll = self.rng.random()
        mine = [one for one, session in self.open.items() if session.account_id == account_id]
        if roll < 0.5 or not mine:
            session = Session(
                handle=f"handle-{self.number}",
                account_id=account_id,
                epoch=0,
                stage="full",
                proven=(),
                created_us=self.number,
                seen_us=self.number,
                until_us=10**9,
                ip="",
                agent="x" * self.rng.choice((0, 200)),
                csrf="",
            )
            file.open(session, token, most=100)
            self.open[token] = session
        elif roll < 0.65:
            old = self.rng.choice(mine)
            session = self.open.pop(old)
            if file.replace(msgspec.structs.replace(session, seen_us=self.number), token):
                self.open[token] = session
            self.over.add(old)
        elif roll < 0.8:
            old = self.rng.choice(mine)
            session = self.open.pop(old)
            file.end(session.handle)
            self.over.add(old)
        elif roll < 0.85:
            file.end_all(account_id)
            for old in mine:
                self.over.add(old)
                del self.open[old]
        elif roll < 0.9:
            file.forget_account(account_id)
            for old in mine:
                self.over.add(old)
                del self.open[old]
        elif self.links and roll < 0.95:
            link = self.links.pop()
            file.take_link(link)
            self.links_over.add(link)
        else:
            file.open_link(token, Link(9, 0, 10**9), most=100)
            self.links.add(token)

    def check(self) -> int:
        file = SessionFile(self.folder / "sessions.db")
        for token in self.over:
            assert file.find(token) is None
        for token in self.links_over:
            assert file.find_link(token) is None
        # What was opened may be lost; whoever is still in may go on.
        self.open = {token: session for token, session in self.open.items() if file.find(token) is not None}
        kept = len(self.open)
        file.close()
        return kept


def live(folder: Path, seed: int) -> int:
    (folder / str(seed)).mkdir()
    life = Life(folder / str(seed), seed)
    kept = 0
    for number in range(3):
        life.run_until_cut(number)
        kept += life.check()
    return kept


def test_what_was_ended_stays_ended_whatever_the_disk_kept(tmp_path: Path) -> None:
    assert sum(live(tmp_path, seed) for seed in range(SEEDS)) > SEEDS  # else nothing was put to the test


def test_the_same_cuts_bring_sessions_back_that_are_ended_without_waiting_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""

    @contextmanager
    def at_ease(file: SessionFile) -> Iterator[None]:
        with file._database:
            yield

    monkeypatch.setattr(SessionFile, "_durably", at_ease)
    with pytest.raises(AssertionError):
        for seed in range(SEEDS):
            live(tmp_path, seed)
