"""What every journal promises, asked of every adapter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sparekey.sequencer.ports import Batch, Journal
from sparekey.storage.journal import GENESIS_CHAIN, Durability, MemoryJournal, SqliteJournal, chain_after

Opener = Callable[[], Journal]


@pytest.fixture(params=["memory", "full", "normal"])
def open_journal(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the journal; opening it again is a restart, where the adapter has one."""
    if request.param == "memory":
        journal = MemoryJournal()
        return lambda: journal
    durability = Durability(request.param)
    return lambda: SqliteJournal(tmp_path / "journal.db", durability)


def batch(first: int, last: int) -> Batch:
    return Batch(first, last, bytes([first % 256]) * (last - first + 1) * 40)


def test_an_empty_journal_is_at_position_zero(open_journal: Opener) -> None:
    journal = open_journal()
    assert (journal.position, journal.chain, list(journal.read())) == (0, GENESIS_CHAIN, [])
    assert journal.chain_at(0) == GENESIS_CHAIN
    journal.close()


def test_batches_are_read_back_as_written_also_after_a_restart(open_journal: Opener) -> None:
    journal = open_journal()
    written = [batch(1, 3), batch(4, 4), batch(5, 300)]
    for one in written:
        journal.append(one)
    assert list(journal.read()) == written
    chain = journal.chain
    journal.close()
    journal = open_journal()
    assert list(journal.read()) == written
    assert (journal.position, journal.chain) == (300, chain)
    journal.append(batch(301, 301))
    assert journal.position == 301
    journal.close()


def test_reading_starts_at_the_batch_that_holds_the_next_position(open_journal: Opener) -> None:
    journal = open_journal()
    for number in range(200):
        journal.append(batch(number * 2 + 1, number * 2 + 2))
    assert [one.first for one in journal.read(after=396)] == [397, 399]
    assert [one.first for one in journal.read(after=397)] == [397, 399]
    assert list(journal.read(after=400)) == []
    journal.close()


def test_the_chain_covers_range_and_content_of_every_row_before(open_journal: Opener) -> None:
    journal = open_journal()
    chain = GENESIS_CHAIN
    for one in (batch(1, 2), batch(3, 3), batch(4, 9)):
        journal.append(one)
        chain = chain_after(chain, one)
        assert journal.chain == chain == journal.chain_at(one.last)
    assert journal.chain_at(1) is None
    assert journal.chain_at(10) is None
    assert chain_after(chain, Batch(10, 11, b"x")) != chain_after(chain, Batch(10, 12, b"x"))
    assert chain_after(chain, Batch(10, 11, b"x")) != chain_after(chain, Batch(10, 11, b"y"))
    journal.close()


@pytest.mark.parametrize("wrong", [Batch(3, 4, b"gap"), Batch(1, 1, b"overlap"), Batch(2, 1, b"backwards")])
def test_a_batch_that_does_not_follow_is_refused(open_journal: Opener, wrong: Batch) -> None:
    journal = open_journal()
    journal.append(Batch(1, 1, b"first"))
    with pytest.raises(ValueError, match="do not follow position 1"):
        journal.append(wrong)
    assert journal.position == 1
    journal.append(Batch(2, 2, b"second"))
    journal.close()


def test_sync_loses_and_reorders_nothing(open_journal: Opener) -> None:
    journal = open_journal()
    journal.append(batch(1, 2))
    journal.sync()
    journal.append(batch(3, 4))
    journal.sync()
    assert [one.first for one in journal.read()] == [1, 3]
    journal.close()
