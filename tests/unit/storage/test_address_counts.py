"""What addresses used outlives the process, and a sick file or disk never stops anybody."""

from __future__ import annotations

import importlib.resources
import os
import stat
from pathlib import Path

import msgspec
import pytest

from sparekey.access.limits import IpLedger, parse_profile
from sparekey.storage.address_counts import AddressCounts

NOW_US = 1_700_000_000_000_000
MINUTE_US = 60_000_000
IP = "192.0.2.1"


def ledger() -> IpLedger:
    profile = importlib.resources.files("sparekey.access").joinpath("profiles/classic.toml")
    return IpLedger(parse_profile(profile.read_text()))


def test_used_weight_and_bans_are_as_before_after_a_restart(tmp_path: Path) -> None:
    before = ledger()
    for _ in range(1_300):
        before.charge("192.0.2.1", 1, NOW_US, NOW_US, "spot", "")
    before.charge("192.0.2.2", 700, NOW_US, NOW_US, "spot", "")
    assert before.ban_on("192.0.2.1", NOW_US, NOW_US) is not None
    counts = AddressCounts(tmp_path / "addresses", before)
    counts.save(counts.dump())
    assert stat.S_IMODE((tmp_path / "addresses").stat().st_mode) == 0o600

    after = ledger()
    AddressCounts(tmp_path / "addresses", after).load()
    assert after.ban_on("192.0.2.1", NOW_US, NOW_US) == before.ban_on("192.0.2.1", NOW_US, NOW_US)
    assert after.charge("192.0.2.2", 500, NOW_US, NOW_US, "spot", "") is None
    assert after.charge("192.0.2.2", 1, NOW_US, NOW_US, "spot", "") is not None
    assert after.charge("192.0.2.3", 1_200, NOW_US, NOW_US, "spot", "") is None


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    counts = AddressCounts(tmp_path / "addresses", ledger())
    counts.save(counts.dump())
    (tmp_path / "addresses").unlink()
    counts.save(counts.dump())
    assert not (tmp_path / "addresses").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x90", b"\x95\x01\x02\x03\x04\x05"])
def test_an_unreadable_file_means_that_nothing_was_used(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "addresses"
    path.write_bytes(content)
    fresh = ledger()
    AddressCounts(path, fresh).load()
    assert fresh.charge("192.0.2.1", 1_200, NOW_US, NOW_US, "spot", "") is None


def test_a_disk_that_refuses_is_named_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "away"
    counts = AddressCounts(folder / "addresses", ledger())
    counts.save(counts.dump())
    assert "cannot be saved" in counts.problem
    folder.mkdir()
    counts.save(counts.dump())
    assert counts.problem == ""
    assert (folder / "addresses").exists()


# --- bans ------------------------------------------------------------------------------------------------------------


def kept(tmp_path: Path) -> tuple[IpLedger, AddressCounts]:
    """A ledger as a start finds it, whose bans are saved as they are given."""
    found = ledger()
    counts = AddressCounts(tmp_path / "addresses", found)
    counts.load()
    found.on_change = counts.save_bans
    return found, counts


def ban(one: IpLedger, now_us: int = NOW_US) -> None:
    while one.ban_on(IP, now_us, now_us) is None:
        one.charge(IP, 100, now_us, now_us, "spot", "")


def test_a_ban_survives_a_crash_in_the_very_moment_in_which_it_was_told(tmp_path: Path) -> None:
    one, _ = kept(tmp_path)
    ban(one)
    assert stat.S_IMODE((tmp_path / "bans").stat().st_mode) == 0o600
    again, _ = kept(tmp_path)
    assert again.ban_on(IP, NOW_US, NOW_US) == one.ban_on(IP, NOW_US, NOW_US) is not None
    assert again.ban_on(IP, NOW_US, NOW_US + 2 * MINUTE_US - 1) is not None
    assert again.ban_on(IP, NOW_US, NOW_US + 2 * MINUTE_US) is None


def test_a_ban_is_synced_before_it_is_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda descriptor: (done.append("sync"), fsync(descriptor)))
    monkeypatch.setattr("os.replace", lambda *paths: (done.append("replace"), replace(*paths)))
    one, _ = kept(tmp_path)
    ban(one)
    assert done == ["sync", "replace", "sync"]


def test_a_ban_that_was_lifted_stays_lifted_after_a_crash(tmp_path: Path) -> None:
    one, counts = kept(tmp_path)
    ban(one)
    counts.save(counts.dump())
    one.lift(IP)
    again, _ = kept(tmp_path)
    assert again.ban_on(IP, NOW_US, NOW_US) is None
    assert again.current_bans(NOW_US) == []


def test_the_next_ban_after_a_restart_is_a_step_longer(tmp_path: Path) -> None:
    one, _ = kept(tmp_path)
    ban(one)
    again, _ = kept(tmp_path)
    later_us = NOW_US + 10 * MINUTE_US
    ban(again, later_us)
    assert again.ban_on(IP, later_us, later_us + 10 * MINUTE_US - 1) is not None
    assert again.ban_on(IP, later_us, later_us + 10 * MINUTE_US) is None


def test_a_clock_set_back_while_nobody_ran_makes_no_ban_longer(tmp_path: Path) -> None:
    one, _ = kept(tmp_path)
    ban(one)
    again, _ = kept(tmp_path)
    earlier_us = NOW_US - 60 * MINUTE_US
    again.note_time(earlier_us)
    assert again.ban_on(IP, earlier_us, earlier_us + 2 * MINUTE_US - 1) is not None
    assert again.ban_on(IP, earlier_us, earlier_us + 2 * MINUTE_US) is None


def test_the_files_of_an_older_version_are_read(tmp_path: Path) -> None:
    one = ledger()
    ban(one)
    (tmp_path / "addresses").write_bytes(msgspec.msgpack.encode(one.dump()[:5]))
    again, _ = kept(tmp_path)
    assert again.dump() == one.dump()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x92\x00\x91\x01", b"\xc0"])
def test_an_unreadable_file_of_bans_leaves_the_bans_that_the_other_file_knows(tmp_path: Path, content: bytes) -> None:
    one, counts = kept(tmp_path)
    ban(one)
    counts.save(counts.dump())
    (tmp_path / "bans").write_bytes(content)
    again, _ = kept(tmp_path)
    assert again.ban_on(IP, NOW_US, NOW_US) is not None


def test_a_disk_that_takes_no_ban_is_named_and_the_ban_holds_nevertheless(tmp_path: Path) -> None:
    folder = tmp_path / "away"
    one, counts = kept(folder)
    ban(one)
    assert "a ban cannot be saved" in counts.problem
    folder.mkdir()
    one.on_change()
    assert counts.problem == ""
    assert kept(folder)[0].ban_on(IP, NOW_US, NOW_US) is not None
