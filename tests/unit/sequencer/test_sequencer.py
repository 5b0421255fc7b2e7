"""The one writer: order, group commit, release, refusals, failures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from sparekey.sequencer.frames import decode_batch
from sparekey.sequencer.ports import Batch, JournalFailed, Published, Record, StateBroken
from sparekey.sequencer.recovery import Diverged, recover, redecide, state_digest
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.journal import MemoryJournal
from sparekey.terms.refusals import Refusal
from tests.toy_bank import Clock, Explode, Leak, Loop, Pay, Peek, ToyBank, at_once, never_fatal, toy_machines


class House:
    """A sequencer over two toy shards, with a loop and clocks that the test moves."""

    def __init__(self, journal: Any = None, **options: Any) -> None:
        self.journal = journal if journal is not None else MemoryJournal()
        self.machines = toy_machines()
        self.loop = Loop()
        self.clock = Clock()
        self.deaths: list[BaseException] = []
        self.sequencer = Sequencer(
            self.journal,
            self.machines,
            {"bank": self.clock, "branch": self.clock},
            options.pop("schedule", self.loop.call_soon),
            fatal=self.deaths.append,
            **options,
        )

    def records(self) -> list[Any]:
        return [record for batch in self.journal.read() for record in decode_batch(batch)]


class BrokenDisk(MemoryJournal):
    def append(self, batch: Batch) -> None:
        raise JournalFailed("the disk is gone")


class Listener:
    def __init__(self) -> None:
        self.received: list[Published] = []
        self.calls = 0

    def receive(self, published: Sequence[Published]) -> None:
        self.calls += 1
        self.received.extend(published)


def test_nothing_is_released_before_the_commit_and_everything_in_order_after_it() -> None:
    house = House()
    released: list[int] = []
    for number in range(3):
        house.sequencer.submit("bank", Pay(number + 1, 5))
        assert not house.sequencer.when_durable(partial(released.append, number))
    assert released == [] and house.journal.position == 0
    assert house.loop.run() == 1
    assert released == [0, 1, 2]
    assert house.journal.position == house.sequencer.durable_position == 3


def test_what_is_pending_goes_into_one_row() -> None:
    house = House()
    for _ in range(50):
        house.sequencer.submit("bank", Pay(1, 1))
    house.loop.run()
    assert [(batch.first, batch.last) for batch in house.journal.read()] == [(1, 50)]


def test_a_read_waits_for_the_commit_it_looked_at_and_for_nothing_when_clean() -> None:
    house = House()
    assert house.sequencer.when_durable(lambda: None)
    house.sequencer.submit("bank", Pay(1, 1))
    released: list[str] = []
    assert not house.sequencer.when_durable(lambda: released.append("read"))
    house.loop.run()
    assert released == ["read"]
    assert house.sequencer.when_durable(lambda: None)


def test_a_refusal_and_a_command_without_events_are_not_journaled_but_wait_for_the_commit() -> None:
    house = House()
    house.sequencer.submit("bank", Pay(1, 5))
    assert isinstance(house.sequencer.submit("bank", Pay(2, 6, source=1)), Refusal)
    assert house.sequencer.submit("bank", Peek()) == ()
    assert not house.sequencer.when_durable(lambda: None)
    house.loop.run()
    assert len(house.records()) == 1


def test_rows_are_cut_at_the_limit_without_losing_order() -> None:
    house = House(batch_limit=10)
    released: list[tuple[int, int]] = []

    def release(number: int) -> None:
        released.append((number, house.journal.position))

    for number in range(25):
        house.sequencer.submit("bank", Pay(1, number + 1))
        house.sequencer.when_durable(partial(release, number))
    house.loop.run()
    assert [(batch.first, batch.last) for batch in house.journal.read()] == [(1, 10), (11, 20), (21, 25)]
    assert [number for number, _ in released] == list(range(25))
    assert [position for _, position in released] == [10] * 10 + [20] * 10 + [25] * 5


def test_sequences_have_no_gap_per_shard_and_positions_none_in_the_journal() -> None:
    house = House()
    for number in range(6):
        house.sequencer.submit("branch" if number % 3 == 2 else "bank", Pay(1, 1))
    house.loop.run()
    assert [(record.shard, record.seq) for record in house.records()] == [
        ("bank", 1),
        ("bank", 2),
        ("branch", 1),
        ("bank", 3),
        ("bank", 4),
        ("branch", 2),
    ]


def test_time_never_goes_backwards_within_a_shard_nor_across_a_restart() -> None:
    house = House()
    house.sequencer.submit("bank", Pay(1, 1))
    house.clock.now_us -= 500
    house.sequencer.submit("bank", Pay(1, 1))
    house.loop.run()
    assert [record.time_us for record in house.records()] == [1_000_000, 1_000_000]
    machines = toy_machines()
    recovered = recover(machines, house.journal)
    again = Sequencer(house.journal, machines, {"bank": lambda: 1, "branch": lambda: 1}, at_once, recovered=recovered)
    again.submit("bank", Pay(1, 1))
    assert [record.time_us for record in house.records()][-1] == 1_000_000
    assert [record.seq for record in house.records()] == [1, 2, 3]


def test_consumers_receive_each_record_once_after_its_replies() -> None:
    listener = Listener()
    house = House(consumers=[listener])
    order: list[str] = []
    house.sequencer.submit("bank", Pay(7, 1))
    house.sequencer.when_durable(lambda: order.append(f"reply, {listener.calls} published"))
    assert [item.position for item in house.sequencer.pending] == [1]
    house.loop.run()
    assert order == ["reply, 0 published"]
    assert [(item.position, item.record.seq, item.effects) for item in listener.received] == [(1, 1, [("paid", 7)])]
    assert house.sequencer.pending == ()


def test_a_query_inside_a_released_reply_still_finds_its_record_among_the_pending() -> None:
    listener = Listener()
    house = House(consumers=[listener])
    house.sequencer.submit("bank", Pay(7, 1))
    seen: list[int] = []
    house.sequencer.when_durable(lambda: seen.append(len(house.sequencer.pending) + len(listener.received)))
    house.loop.run()
    assert seen == [1]


def test_a_reply_that_submits_again_is_committed_in_the_next_pass() -> None:
    house = House()
    house.sequencer.submit("bank", Pay(1, 1))
    house.sequencer.when_durable(lambda: house.sequencer.submit("bank", Pay(2, 2)))
    house.loop.run()
    assert house.journal.position == 1
    house.loop.run()
    assert house.journal.position == 2


def test_a_scheduler_that_runs_at_once_commits_replies_of_replies_too() -> None:
    house = House(schedule=at_once)
    done: list[int] = []

    def go_on() -> None:
        if len(done) < 5:
            done.append(len(done))
            house.sequencer.submit("bank", Pay(1, 1))
            if house.sequencer.when_durable(go_on):
                go_on()

    house.sequencer.submit("bank", Pay(1, 1))
    assert house.sequencer.when_durable(go_on)
    go_on()
    assert house.journal.position == 6 and house.sequencer.pending == ()


def test_a_reply_that_fails_does_not_hold_back_the_others(caplog: pytest.LogCaptureFixture) -> None:
    house = House(consumers=[Listener()])
    released: list[str] = []
    house.sequencer.submit("bank", Pay(1, 1))

    def fail() -> None:
        raise ConnectionResetError("gone")

    house.sequencer.when_durable(fail)
    house.sequencer.when_durable(lambda: released.append("second"))
    house.loop.run()
    assert released == ["second"] and house.deaths == []
    assert "a released reply failed" in caplog.text


def test_a_failed_append_ends_the_process_and_no_reply_leaves() -> None:
    house = House(BrokenDisk())
    released: list[str] = []
    house.sequencer.submit("bank", Pay(1, 1))
    house.sequencer.when_durable(lambda: released.append("reply"))
    with pytest.raises(JournalFailed):
        house.loop.run()
    assert released == [] and isinstance(house.deaths[0], JournalFailed)
    with pytest.raises(JournalFailed):
        house.sequencer.submit("bank", Pay(1, 1))
    with pytest.raises(JournalFailed):
        house.sequencer.when_durable(lambda: None)
    house.sequencer.commit()
    assert released == []


def test_books_that_do_not_balance_end_the_process_before_they_are_durable() -> None:
    house = House()
    house.sequencer.submit("bank", Pay(1, 1))
    house.sequencer.submit("bank", Leak())
    with pytest.raises(StateBroken, match="the books of shard bank do not balance: the total is 1"):
        house.loop.run()
    assert house.journal.position == 0


def test_a_machine_that_raises_ends_the_process_and_its_half_state_is_never_committed() -> None:
    house = House()
    house.sequencer.submit("bank", Pay(1, 1))
    with pytest.raises(StateBroken, match="the shard bank failed on Explode"):
        house.sequencer.submit("bank", Explode())
    house.loop.run()
    assert house.journal.position == 0 and isinstance(house.deaths[0], StateBroken)


def test_numbers_that_cannot_be_written_down_end_the_process() -> None:
    house = House()
    house.sequencer.submit("bank", Pay(1, 2**70))
    with pytest.raises(StateBroken, match="positions 1 to 1 cannot be written down"):
        house.loop.run()


def _tell_the_branch(record: Record) -> list[tuple[str, Any]]:
    return [("branch", Pay(record.command.to, 1))] if record.command.amount == 3 else []


def test_what_follows_on_another_shard_shares_the_row_even_at_the_limit() -> None:
    house = House(follow={"bank": _tell_the_branch}, batch_limit=2, schedule=at_once)
    house.sequencer.submit("bank", Pay(1, 3))
    assert [(batch.first, batch.last) for batch in house.journal.read()] == [(1, 2)]
    house = House(follow={"bank": _tell_the_branch}, batch_limit=2)
    for amount in (1, 3, 1, 1):
        house.sequencer.submit("bank", Pay(1, amount))
    house.loop.run()
    assert [(batch.first, batch.last) for batch in house.journal.read()] == [(1, 3), (4, 5)]
    assert [record.shard for record in house.records()] == ["bank", "bank", "branch", "bank", "bank"]


def test_an_other_shard_that_refuses_what_follows_ends_the_process() -> None:
    house = House(follow={"bank": lambda record: [("branch", Pay(1, 5, source=9))]})
    with pytest.raises(StateBroken, match="Pay was refused by branch"):
        house.sequencer.submit("bank", Pay(1, 1))


def test_lazy_records_gather_until_somebody_waits_or_enough_are_there() -> None:
    house = House(lazy_limit=4)
    for _ in range(3):
        house.sequencer.submit("bank", Pay(1, 1), lazy=True)
    assert house.loop.run() == 0
    assert not house.sequencer.when_durable(lambda: None)
    assert house.loop.run() == 1 and house.journal.position == 3
    for _ in range(4):
        house.sequencer.submit("bank", Pay(1, 1), lazy=True)
    assert house.loop.run() == 1 and house.journal.position == 7
    house.sequencer.submit("bank", Pay(1, 1), lazy=True)
    house.sequencer.submit("bank", Pay(1, 1))
    assert house.loop.run() == 1 and house.journal.position == 9


def test_whoever_comes_finds_what_waited_lazily_committed() -> None:
    house = House(lazy_limit=4)
    house.sequencer.hurry()
    assert house.loop.run() == 0
    house.sequencer.submit("bank", Pay(1, 1), lazy=True)
    house.sequencer.hurry()
    house.sequencer.hurry()
    assert house.loop.run() == 1 and house.journal.position == 1


def test_replay_gives_the_same_state_and_deciding_again_the_same_events() -> None:
    house = House(schedule=at_once)
    for number in range(40):
        house.clock.now_us += 7
        house.sequencer.submit("bank" if number % 2 else "branch", Pay(number % 5, number, source=number % 3))
    machines = toy_machines()
    recovered = recover(machines, house.journal)
    for shard, machine in machines.items():
        assert state_digest(machine) == state_digest(house.machines[shard])
        assert recovered.shards[shard][0] == house.sequencer.seq_of(shard)
    assert recovered.tail_records == recovered.position == house.journal.position
    assert redecide(toy_machines(), house.journal) == house.journal.position


def test_an_outcome_that_changed_is_named_when_a_journal_is_decided_again() -> None:
    class Generous(ToyBank):
        def execute(self, command: Any, time_us: int) -> Any:
            return super().execute(Pay(command.to, command.amount + 1), time_us)

    house = House(schedule=at_once)
    house.sequencer.submit("bank", Pay(1, 1))
    with pytest.raises(Diverged, match="position 1: Pay"):
        redecide({"bank": Generous()}, house.journal)


def test_a_sequencer_on_a_journal_with_a_past_must_recover_first() -> None:
    house = House(schedule=at_once)
    house.sequencer.submit("bank", Pay(1, 1))
    with pytest.raises(ValueError, match="recover first"):
        Sequencer(house.journal, toy_machines(), {"bank": Clock(), "branch": Clock()}, at_once, fatal=never_fatal)


def test_a_consumer_that_is_behind_receives_exactly_what_it_misses() -> None:
    house = House(schedule=at_once)
    for number in range(5):
        house.sequencer.submit("bank", Pay(number, 1))
    listener = Listener()
    recover(toy_machines(), house.journal, behind=[(listener, 3)])
    assert [(item.position, item.record.command, item.effects) for item in listener.received] == [
        (4, Pay(3, 1), [("paid", 3)]),
        (5, Pay(4, 1), [("paid", 4)]),
    ]
