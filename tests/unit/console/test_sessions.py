"""Sessions: who holds a token is signed in, until time, a sign-out or the account's epoch says otherwise."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sparekey.console.sessions import ABSOLUTE_US, HALF_US, IDLE_US, MOST_SESSIONS, Sessions
from sparekey.storage.sessions import SessionFile, open_sessions
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US

ANN, BOB = 100_000_001, 100_000_002
NOON_US = 1_700_000_000_000_000


class Desk:
    """Sessions in memory or a file, with clock and epochs in the test's hand."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.now_us = NOON_US
        self.epochs = {ANN: 0, BOB: 0}
        self.file = SessionFile(path)
        self.sessions = Sessions(self.file, self.epochs.get, lambda: self.now_us)

    def sign_in(self, account_id: int = ANN) -> str:
        return self.sessions.open(account_id, ip="127.0.0.1", agent="Firefox", proven=("password",))[1]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_token_finds_its_session_and_another_token_finds_none(desk: Desk) -> None:
    session, token = desk.sessions.open(ANN, ip="192.0.2.1", agent="Firefox", proven=("password", "totp"))
    assert desk.sessions.find(token) == session
    assert (session.account_id, session.ip, session.agent, session.proven) == (
        ANN,
        "192.0.2.1",
        "Firefox",
        ("password", "totp"),
    )
    for other in ("", token[:-1], token + "x", session.handle, session.csrf, "x" * 5000, "\ud800", "' OR 1=1 --"):
        assert desk.sessions.find(other) is None


def test_neither_file_nor_struct_holds_a_token(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "sessions.db")
    session, token = desk.sessions.open(ANN, ip="127.0.0.1", agent="Firefox", proven=("password",))
    device = desk.sessions.note_device(ANN, "")
    link = desk.sessions.open_link(ANN, HOUR_US)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert session.handle.encode() in written
    for secret in (token, device, link):
        assert secret.encode() not in written
        assert bytes.fromhex(secret.encode().hex()) not in written
    assert session.csrf not in repr(session)
    assert (tmp_path / "sessions.db").stat().st_mode & 0o077 == 0


def test_a_session_ends_when_nobody_uses_it_for_twelve_hours(desk: Desk) -> None:
    token = desk.sign_in()
    desk.now_us += IDLE_US - 1
    assert desk.sessions.find(token) is not None
    desk.now_us += IDLE_US - 1
    assert desk.sessions.find(token) is not None  # the look before counted as use
    desk.now_us += IDLE_US
    assert desk.sessions.find(token) is None
    desk.now_us -= IDLE_US
    assert desk.sessions.find(token) is None  # for good


def test_a_session_ends_after_fourteen_days_however_much_it_is_used(desk: Desk) -> None:
    token = desk.sign_in()
    while desk.now_us < NOON_US + ABSOLUTE_US - HOUR_US:
        desk.now_us += HOUR_US
        assert desk.sessions.find(token) is not None
    desk.now_us += HOUR_US
    assert desk.sessions.find(token) is None


def test_a_new_epoch_ends_every_session_and_link_of_the_account_and_no_other(desk: Desk) -> None:
    tokens = [desk.sign_in() for _ in range(3)]
    link = desk.sessions.open_link(ANN, HOUR_US)
    other = desk.sign_in(BOB)
    desk.epochs[ANN] += 1
    assert [desk.sessions.find(token) for token in tokens] == [None] * 3
    assert desk.sessions.take_link(link) is None
    assert desk.sessions.of(ANN) == []
    assert desk.sessions.find(other) is not None


def test_the_session_that_is_carried_over_a_new_epoch_goes_on_under_another_token(desk: Desk) -> None:
    old, other = desk.sign_in(), desk.sign_in()
    session = desk.sessions.find(old)
    assert session is not None
    desk.epochs[ANN] += 1
    carried = desk.sessions.carry_over(session)
    assert carried is not None
    assert desk.sessions.find(carried[1]) == carried[0]
    assert desk.sessions.find(old) is None and desk.sessions.find(other) is None


def test_a_session_that_was_ended_is_not_revived_by_what_was_under_way(desk: Desk) -> None:
    for ending in ("one", "epoch"):
        session, _ = desk.sessions.open(ANN, ip="127.0.0.1", agent="", proven=("password",))
        half, _ = desk.sessions.open_half(ANN, ip="127.0.0.1", agent="", proven=("password",))
        assert desk.sessions.is_alive(session)
        if ending == "one":
            assert desk.sessions.end_one(ANN, session.handle)
        else:
            desk.epochs[ANN] += 1
        desk.sessions.end(half)
        assert not desk.sessions.is_alive(session)
        assert desk.sessions.rotate(session) is None
        assert desk.sessions.complete(half, "totp") is None


def test_rotation_leaves_the_session_and_takes_the_old_token_away(desk: Desk) -> None:
    old = desk.sign_in()
    session = desk.sessions.find(old)
    assert session is not None
    rotated = desk.sessions.rotate(session)
    assert rotated is not None
    assert rotated[0] == session
    assert desk.sessions.find(old) is None
    assert desk.sessions.find(rotated[1]) == session


def test_a_half_session_is_none_until_its_factor_is_proven(desk: Desk) -> None:
    half, token = desk.sessions.open_half(ANN, ip="127.0.0.1", agent="", proven=("password",))
    assert desk.sessions.find(token) is None
    assert desk.sessions.of(ANN) == []
    assert desk.sessions.find_half(token) == half
    completed = desk.sessions.complete(half, "totp")
    assert completed is not None
    session, full_token = completed
    assert desk.sessions.find(full_token) == session
    assert desk.sessions.find_half(full_token) is None
    assert desk.sessions.find(token) is None and desk.sessions.find_half(token) is None
    assert session.proven == ("password", "totp")
    assert session.csrf != half.csrf
    assert desk.sessions.complete(session, "totp") is None


def test_a_half_session_waits_ten_minutes_for_its_factor(desk: Desk) -> None:
    half, token = desk.sessions.open_half(ANN, ip="127.0.0.1", agent="", proven=("password",))
    desk.now_us += HALF_US - 1
    assert desk.sessions.find_half(token) is not None
    desk.now_us += 1
    assert desk.sessions.complete(half, "totp") is None
    assert desk.sessions.find_half(token) is None


def test_an_account_ends_only_its_own_sessions(desk: Desk) -> None:
    token = desk.sign_in(BOB)
    session = desk.sessions.find(token)
    assert session is not None
    assert not desk.sessions.end_one(ANN, session.handle)
    assert desk.sessions.find(token) is not None
    assert desk.sessions.end_one(BOB, session.handle)
    assert desk.sessions.find(token) is None
    assert not desk.sessions.end_one(BOB, session.handle)


def test_the_oldest_session_makes_room_and_half_ones_push_no_full_one_out(desk: Desk) -> None:
    tokens = []
    for _ in range(MOST_SESSIONS + 2):
        desk.now_us += 1
        tokens.append(desk.sign_in())
        desk.sessions.open_half(ANN, ip="127.0.0.1", agent="", proven=("password",))
    assert [desk.sessions.find(token) is not None for token in tokens] == [False] * 2 + [True] * MOST_SESSIONS


def test_the_list_has_the_newest_session_first(desk: Desk) -> None:
    desk.sign_in()
    desk.now_us += MINUTE_US
    desk.sign_in()
    times = [session.created_us for session in desk.sessions.of(ANN)]
    assert times == [NOON_US + MINUTE_US, NOON_US]


def test_a_link_works_once_and_in_its_time(desk: Desk) -> None:
    link = desk.sessions.open_link(ANN, 30 * MINUTE_US)
    assert desk.sessions.account_of_link(link) == ANN  # a look uses nothing up
    assert desk.sessions.take_link(link) == ANN
    assert desk.sessions.take_link(link) is None
    late = desk.sessions.open_link(ANN, 30 * MINUTE_US)
    desk.now_us += 30 * MINUTE_US
    assert desk.sessions.take_link(late) is None
    assert desk.sessions.take_link("") is None
    assert desk.sessions.take_link(desk.sessions.open_link(0, HOUR_US)) is None


def test_a_device_is_known_to_the_account_that_signed_in_on_it(desk: Desk) -> None:
    device = desk.sessions.note_device(ANN, "")
    assert desk.sessions.knows_device(ANN, device)
    assert not desk.sessions.knows_device(BOB, device)
    assert desk.sessions.note_device(BOB, device) == device  # one browser, two accounts
    assert desk.sessions.knows_device(ANN, device) and desk.sessions.knows_device(BOB, device)
    assert not desk.sessions.knows_device(ANN, "")


def test_a_token_that_somebody_put_into_the_browser_never_becomes_a_known_device(desk: Desk) -> None:
    planted = "planted" * 6
    assert desk.sessions.note_device(ANN, planted) != planted
    assert not desk.sessions.knows_device(ANN, planted)


def test_an_erased_account_leaves_nothing_behind(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "sessions.db")
    token = desk.sessions.open(ANN, ip="198.51.100.77", agent="Ann's browser", proven=("password",))[1]
    device, link = desk.sessions.note_device(ANN, ""), desk.sessions.open_link(ANN, HOUR_US)
    desk.sessions.forget_account(ANN)
    assert desk.sessions.find(token) is None
    assert not desk.sessions.knows_device(ANN, device)
    assert desk.sessions.take_link(link) is None
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"198.51.100.77" not in written and b"Ann's browser" not in written


def test_an_account_that_was_erased_just_before_a_crash_is_forgotten_at_the_next_start(desk: Desk) -> None:
    desk.sign_in()
    desk.sign_in(BOB)
    desk.sessions.note_device(ANN, "")
    del desk.epochs[ANN]
    desk.sessions.begin()
    assert desk.file.account_ids() == [BOB]


def test_what_has_run_out_is_forgotten(desk: Desk) -> None:
    desk.sign_in()
    desk.sessions.open_link(ANN, HOUR_US)
    desk.now_us += DAY_US
    fresh = desk.sign_in()
    desk.sessions.tidy()
    assert len(desk.file.of(ANN)) == 1
    assert desk.sessions.find(fresh) is not None


def test_sessions_survive_a_restart(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "sessions.db")
    token = desk.sign_in()
    desk.file.close()
    again = Desk(tmp_path / "sessions.db")
    assert again.sessions.find(token) is not None


def test_a_file_that_is_no_use_is_begun_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "sessions.db"
    path.write_bytes(b"not a database" * 1000)
    with caplog.at_level(logging.WARNING):
        file = open_sessions(path)
    assert "everybody has to sign in again" in caplog.text
    assert file.account_ids() == []


def test_an_agent_keeps_no_control_characters_and_no_great_length(desk: Desk) -> None:
    session, _ = desk.sessions.open(ANN, ip="127.0.0.1", agent="a\r\nb\x1b[31m" + "c" * 5000, proven=())
    assert session.agent.isprintable()
    assert len(session.agent) <= 200


def test_nobody_signs_in_to_an_account_that_is_gone(desk: Desk) -> None:
    with pytest.raises(LookupError):
        desk.sign_in(100_000_099)
