"""Golden journals: this code decides what it decided before, and what was journaled replays to the state it gave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from sparekey.access import decide
from sparekey.access.commands import AccessCommand
from sparekey.access.events import AccessEvent
from sparekey.assemble import make_machines
from sparekey.market import participants
from sparekey.market.participants import MarketMoved, Requoted
from sparekey.sequencer.frames import decode_batch, encode
from sparekey.sequencer.ports import ENGINE_VERSION
from sparekey.sequencer.recovery import Diverged, recover, redecide
from sparekey.venue import spot_decide
from sparekey.venue.commands import SpotCommand
from sparekey.venue.events import SpotEvent
from tests import golden, make_golden

PRESENT = sorted(golden.folder_of().glob("*.golden"))
ALL = sorted(golden.FOLDER.glob("engine-*/*.golden"))
IF_MEANT = (
    "if the other decision is meant, raise ENGINE_VERSION and record files for it: python -m tests.make_golden "
    "(before a release: --again)"
)

by_file = pytest.mark.parametrize("path", PRESENT, ids=lambda path: path.stem)


def test_this_engine_version_has_its_golden_journals() -> None:
    assert [path.stem for path in PRESENT] == sorted(make_golden.SESSIONS), IF_MEANT
    assert {golden.read(path).engine for path in PRESENT} == {ENGINE_VERSION}


@by_file
def test_every_golden_command_is_decided_as_it_was(path: Path) -> None:
    recorded = golden.read(path)
    machines = make_machines()
    try:
        agreed = redecide(machines, golden.journal_of(recorded))
    except Diverged as error:
        pytest.fail(f"{error}\n{IF_MEANT}")
    assert agreed == recorded.records
    assert golden.digests_of(machines) == recorded.digests, IF_MEANT


@by_file
def test_applying_golden_events_alone_gives_the_recorded_state(path: Path) -> None:
    recorded = golden.read(path)
    assert golden.replay(recorded) == recorded.digests, IF_MEANT


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_journals_of_every_engine_version_can_still_be_started_from(path: Path) -> None:
    """An upgrade only applies what an older version decided, so that events stay readable for good."""
    recorded = golden.read(path)
    machines = make_machines()
    recovered = recover(machines, golden.journal_of(recorded))
    assert recovered.position == recorded.records
    assert [machine.check() for machine in machines.values()] == ["", ""]


@by_file
def test_a_snapshot_at_any_commit_goes_on_to_the_recorded_state(path: Path) -> None:
    recorded = golden.read(path)
    journal = golden.journal_of(recorded)
    ends = [batch.last for batch in recorded.batches]
    for until in ends[:: max(1, len(ends) // 8)]:
        machines = make_machines()
        recover(machines, journal, until=until)
        written = {shard: encode(machine.dump()) for shard, machine in machines.items()}
        loaded = make_machines()
        for shard, machine in loaded.items():
            machine.load(msgspec.msgpack.decode(written[shard]))
            assert encode(machine.dump()) == written[shard]
        for batch in journal.read(after=until):
            for record in decode_batch(batch):
                machine = loaded[record.shard]
                machine.apply(machine.decode_events(record.events), record.time_us)
                machine.drain()
        assert golden.digests_of(loaded) == recorded.digests


SCRIPT = """
import json, sys
from pathlib import Path
from sparekey.assemble import make_machines
from sparekey.sequencer.recovery import redecide
from tests import golden
found = {}
for name in sys.argv[1:]:
    recorded = golden.read(Path(name))
    machines = make_machines()
    redecide(machines, golden.journal_of(recorded))
    found[Path(name).stem] = [golden.replay(recorded), golden.digests_of(machines)]
print(json.dumps(found))
"""


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_golden_journals_replay_and_re_decide_to_the_recorded_state_under_any_hash_seed(hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, PRESENT)],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = {path.stem: [golden.read(path).digests] * 2 for path in PRESENT}
    assert json.loads(done.stdout) == expected


def kinds(union: Any) -> set[str]:
    return {kind.__name__ for kind in get_args(union)}


def test_the_golden_journals_hold_every_kind_of_command_of_event_and_of_ending() -> None:
    """What no golden journal holds could change its meaning unnoticed."""
    seen: set[str] = set()
    asked: set[str] = set()
    endings: set[tuple[str, str]] = set()
    modes: set[str] = set()
    for path in PRESENT:
        machines = make_machines()
        for batch in golden.read(path).batches:
            for record in decode_batch(batch):
                asked.add(type(machines[record.shard].decode_command(record.command)).__name__)
                for event in machines[record.shard].decode_events(record.events):
                    seen.add(type(event).__name__)
                    if type(event).__name__ == "OrderClosed":
                        endings.add((event.status, event.expiry_reason))
                    if type(event).__name__ == "MatchPrevented":
                        modes.add(event.mode)
                machine = machines[record.shard]
                machine.apply(machine.decode_events(record.events), record.time_us)
                machine.drain()
    wanted = reduce(or_, (kinds(AccessEvent), kinds(SpotEvent), {MarketMoved.__name__, Requoted.__name__}))
    assert wanted - seen == set()
    assert kinds(AccessCommand) | kinds(SpotCommand) == asked
    assert {status for status, _ in endings} == {"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"}
    assert {reason for _, reason in endings} > {
        "UNFILLED_IOC_QUANTITY_EXPIRED",
        "UNFILLED_FOK_ORDER_EXPIRED",
        "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
    }
    assert modes == {"EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"}


@pytest.mark.parametrize("name", make_golden.SESSIONS)
def test_the_script_gives_the_same_journal_again(name: str) -> None:
    """Recorded twice in one process: nothing of the machine, the time or chance is in it."""
    assert make_golden.SESSIONS[name]() == make_golden.SESSIONS[name]()


@pytest.mark.parametrize(
    ("name", "where", "what", "otherwise"),
    [
        ("keys", decide, "EXPIRY", msgspec.structs.replace(decide.EXPIRY, life_us=decide.EXPIRY.life_us + 1)),
        ("orders", spot_decide, "generated_client_order_id", lambda order_id: f"web_{order_id}"),
        ("market", spot_decide, "generated_client_order_id", lambda order_id: f"web_{order_id}"),
        ("market", participants, "GROWTH_LEVELS", participants.GROWTH_LEVELS + 1),
        ("market", participants, "_HEAT_GAIN", participants._HEAT_GAIN + 1),
    ],
)
def test_another_decision_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, where: Any, what: str, otherwise: Any
) -> None:
    """The control: a small change of what is decided makes the golden journal diverge."""
    monkeypatch.setattr(where, what, otherwise)
    with pytest.raises(Diverged, match="position"):
        redecide(make_machines(), golden.journal_of(golden.read(golden.folder_of() / f"{name}.golden")))
