"""What addresses used outlives the process, and a sick file or disk never stops anybody."""

from __future__ import annotations

import importlib.resources
import stat
from pathlib import Path

import pytest

from sparekey.access.limits import IpLedger, parse_profile
from sparekey.storage.address_counts import AddressCounts

NOW_US = 1_700_000_000_000_000


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
