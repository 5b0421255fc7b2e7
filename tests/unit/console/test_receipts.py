"""Receipts as they are written and read, over a real access shard and call log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparekey.access.commands import DisableKey, EditKey, EnableKey, RestoreAccess, SuspendAccess
from sparekey.access.state import Key
from sparekey.console.receipts import Receipts
from sparekey.sequencer.ports import ENGINE_VERSION, Record
from sparekey.storage.calls import CallLog
from sparekey.terms.permissions import Permission
from sparekey.watch.calls import CallEntry
from tests.unit.access.venue_of_keys import Desk

IP = "192.0.2.1"


class Office:
    def __init__(self, folder: Path, most: int = 100) -> None:
        self.desk = Desk()
        self.calls = CallLog(folder)
        self.receipts = Receipts(self.desk.state, self.calls, lambda: self.desk.now_us, most)
        self.key = self.desk.key(self.desk.account())

    def do(self, command: Any) -> None:
        """As the wiring does: note the record, fence each key."""
        events = self.desk.do(command)
        state = self.desk.state
        record = Record("access", state.seq, self.desk.now_us, ENGINE_VERSION, command, events)
        narrowed = self.desk.shard.narrowed_keys(events)
        self.receipts.note(record, narrowed)
        for key_id in narrowed:
            self.receipts.fenced(key_id, "spot", 7)

    def call(self, http: int = 200, key: Key | None = None) -> int:
        """Log a call; its time."""
        self.desk.now_us += 1_000
        api_key = (key or self.key).api_key
        reason = "" if http == 200 else "key-disabled"
        self.calls.add(
            CallEntry(self.desk.now_us, api_key, IP, "GET", "/api/v3/account", 10, http, 0, reason, 50, "bot")
        )
        self.desk.now_us += 1_000
        return self.desk.now_us - 1_000

    def read(self, subject: str = "") -> list[dict[str, Any]]:
        return asyncio.run(self.receipts.receipts(subject or self.key.api_key))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    one = Office(tmp_path / "calls")
    one.calls.start()
    yield one
    one.calls.stop()


def test_a_receipt_names_the_record_the_fence_and_the_streams_and_when_each_was(office: Office) -> None:
    last_us = office.call()
    office.do(DisableKey(office.key.key_id))
    stopped_us = office.desk.now_us
    office.call(401)
    office.receipts.stream_closed(office.key.key_id, IP)
    office.receipts.stream_closed(office.key.key_id, IP)
    assert office.read() == [
        {
            "apiKey": office.key.api_key,
            "ip": None,
            "cause": "disabled",
            "accessSeq": office.desk.state.seq,
            "accessUs": stopped_us,
            "shards": [{"shard": "spot", "seq": 7, "us": stopped_us}],
            "streamsClosed": 2,
            "closedUs": office.desk.now_us,
            "lastHonouredUs": last_us,
        }
    ]


def test_a_call_that_was_honoured_although_its_key_was_stopped_shows(office: Office) -> None:
    office.do(DisableKey(office.key.key_id))
    late_us = office.call()
    (receipt,) = office.read()
    assert receipt["lastHonouredUs"] == late_us > receipt["accessUs"]


@pytest.mark.parametrize(
    ("stop", "back"),
    [
        (lambda key: DisableKey(key.key_id), lambda key: EnableKey(key.key_id)),
        (lambda key: SuspendAccess(key.account_id, ""), lambda key: RestoreAccess(key.account_id, "")),
    ],
)
def test_calls_after_a_key_was_given_back_are_of_other_terms(office: Office, stop: Any, back: Any) -> None:
    before_us = office.call()
    office.do(stop(office.key))
    office.do(back(office.key))
    after_us = office.call()
    office.do(stop(office.key))
    assert [receipt["lastHonouredUs"] for receipt in office.read()] == [before_us, after_us]


def test_giving_back_one_key_ends_no_other_key_s_pause(office: Office) -> None:
    other = office.desk.key(office.key.account_id, "other")
    office.do(DisableKey(office.key.key_id))
    office.do(DisableKey(other.key_id))
    office.do(EnableKey(other.key_id))
    late_us = office.call()
    office.call(key=other)
    assert office.read()[0]["lastHonouredUs"] == late_us
    assert office.read(other.api_key)[0]["lastHonouredUs"] is None


def test_a_key_that_was_narrowed_is_honoured_on_new_terms_at_once(office: Office) -> None:
    before_us = office.call()
    office.do(EditKey(office.key.key_id, permissions=int(Permission.READING)))
    office.call()
    (receipt,) = office.read()
    assert (receipt["cause"], receipt["lastHonouredUs"]) == ("edited", before_us)


def test_many_refused_calls_do_not_hide_the_last_one_that_was_honoured(office: Office) -> None:
    last_us = office.call()
    office.do(DisableKey(office.key.key_id))
    for _ in range(2_500):
        office.call(401)
    assert office.read()[0]["lastHonouredUs"] == last_us


def test_a_ban_has_a_receipt_of_its_address(office: Office) -> None:
    office.receipts.stream_closed(0, IP)  # of nobody whom we know
    office.receipts.banned(IP)
    office.receipts.stream_closed(0, IP)
    (receipt,) = office.read(IP)
    assert (receipt["apiKey"], receipt["ip"], receipt["cause"]) == (None, IP, "banned")
    assert (receipt["streamsClosed"], receipt["accessSeq"], receipt["lastHonouredUs"]) == (1, None, None)


def test_only_the_newest_receipts_are_kept(tmp_path: Path) -> None:
    office = Office(tmp_path / "calls", most=3)
    for number in range(5):
        office.receipts.banned(f"192.0.2.{number}")
    office.receipts.banned("192.0.2.4")
    kept = [len(office.read(f"192.0.2.{number}")) for number in range(5)]
    assert kept == [0, 0, 0, 1, 2]
