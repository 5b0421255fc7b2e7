"""Who may listen: what the API key behind a listenKey may read, asked of a real access shard."""

from __future__ import annotations

import pytest

from sparekey.access.commands import (
    AdvanceClock,
    DeleteKey,
    DisableKey,
    EditKey,
    RemoveTotp,
    SetKyc,
    SuspendAccess,
)
from sparekey.access.limits import Ban
from sparekey.access.state import Key
from sparekey.sequencer.clocks import Clocks
from sparekey.terms.clocktime import DAY_US, MINUTE_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.wire.listen_keys import ListenKey, ListenKeys
from sparekey.wire.stream_door import StreamDoor
from tests.unit.access.venue_of_keys import HOME, Desk, reason

AWAY = "192.0.2.1"


class Doorway:
    def __init__(self, profile: str = "classic") -> None:
        self.desk = Desk(profile)
        self.clocks = Clocks(lambda: self.desk.now_us)
        self.listen_keys = ListenKeys()
        self.door = StreamDoor(self.desk.gate, self.desk.ledger, self.desk.state, self.clocks, self.listen_keys)
        self.account_id = self.desk.account()

    def listen_key(self, key: Key) -> ListenKey:
        text = self.listen_keys.open("spot", key.account_id, key.key_id, self.clocks.policy_us())
        found = self.door.find(text)
        assert found is not None
        return found


CHANGES = {
    "deleted": (lambda key: DeleteKey(key.key_id), Reason.KEY_DELETED),
    "disabled": (lambda key: DisableKey(key.key_id), Reason.KEY_DISABLED),
    "elsewhere": (lambda key: EditKey(key.key_id, whitelist=("192.0.2.7",)), Reason.IP_FOREIGN),
    "expired": (lambda key: AdvanceClock(91 * DAY_US), Reason.KEY_EXPIRED),
    "kyc": (lambda key: SetKyc(key.account_id, "rejected"), Reason.ACCOUNT_UNVERIFIED),
    "factor": (lambda key: RemoveTotp(key.account_id), Reason.ACCOUNT_UNVERIFIED),
    "suspended": (lambda key: SuspendAccess(key.account_id, "test"), Reason.ACCOUNT_SUSPENDED),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_stops_a_key_stops_its_stream(change: str) -> None:
    doorway = Doorway()
    key = doorway.desk.key(doorway.account_id)
    held = doorway.listen_key(key)
    assert doorway.door.judge(held, HOME) is None
    command, why = CHANGES[change]
    doorway.desk.do(command(key))
    doorway.clocks.policy_offset_us = doorway.desk.state.policy_offset_us
    assert reason(doorway.door.judge(held, HOME)) is why


def test_a_key_stops_listening_on_time_even_before_its_timer_goes_off() -> None:
    doorway = Doorway()
    held = doorway.listen_key(doorway.desk.key(doorway.account_id))
    doorway.desk.now_us += 90 * DAY_US
    assert reason(doorway.door.judge(held, HOME)) is Reason.KEY_EXPIRED


def test_what_narrows_nothing_leaves_the_stream_alone() -> None:
    doorway = Doorway()
    key, other = doorway.desk.key(doorway.account_id), doorway.desk.key(doorway.account_id, "other")
    held = doorway.listen_key(key)
    doorway.desk.do(EditKey(key.key_id, label="new name", permissions=int(Permission.READING)))
    doorway.desk.do(DeleteKey(other.key_id))
    assert doorway.door.judge(held, HOME) is None
    assert doorway.door.api_key(held) == key.api_key


def test_a_whitelist_holds_for_listening_too() -> None:
    doorway = Doorway()
    held = doorway.listen_key(doorway.desk.key(doorway.account_id, whitelist=("127.0.0.1",)))
    assert doorway.door.judge(held, HOME) is None
    assert reason(doorway.door.judge(held, AWAY)) is Reason.IP_FOREIGN
    assert reason(doorway.door.judge(held, "")) is Reason.IP_FOREIGN


def test_the_301st_connection_of_an_address_in_five_minutes_is_refused() -> None:
    doorway = Doorway()
    door = doorway.door
    assert [door.enter(AWAY) for _ in range(300)] == [None] * 300
    assert reason(door.enter(AWAY)) is Reason.IP_RAW_REQUESTS_EXCEEDED
    assert door.enter(HOME) is None
    doorway.desk.now_us += 5 * MINUTE_US
    assert door.enter(AWAY) is None


def test_a_clock_set_back_gives_nobody_connections_anew_and_shuts_nobody_out_for_longer() -> None:
    doorway = Doorway()
    door = doorway.door
    for _ in range(301):
        door.enter(AWAY)
    doorway.desk.now_us -= 60 * MINUTE_US
    assert reason(door.enter(AWAY)) is Reason.IP_RAW_REQUESTS_EXCEEDED
    doorway.desk.now_us += 5 * MINUTE_US
    assert door.enter(AWAY) is None


def test_nobody_is_refused_where_limits_are_off() -> None:
    door = Doorway("off").door
    assert [door.enter(AWAY) for _ in range(301)] == [None] * 301


def test_a_banned_address_may_not_enter_until_the_ban_ends() -> None:
    doorway = Doorway()
    doorway.desk.ledger.bans[AWAY] = Ban(0, doorway.desk.now_us + 2 * MINUTE_US)
    assert reason(doorway.door.enter(AWAY)) is Reason.IP_BANNED
    assert reason(doorway.door.banned(AWAY)) is Reason.IP_BANNED
    assert doorway.door.enter(HOME) is None
    doorway.desk.now_us += 2 * MINUTE_US
    assert doorway.door.enter(AWAY) is None
