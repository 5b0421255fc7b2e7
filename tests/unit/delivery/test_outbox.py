"""The outbox: letters are kept, tried again, given up and forgotten, and what went wrong is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sparekey.delivery.outbox import FAILED, KEPT, KEPT_HERE, MOST_UNDER_WAY, SENT, UNDER_WAY, Outbox, Undelivered
from sparekey.terms.letters import EMAIL, SMS, Letter


class Carrier:
    """Takes letters as the test says: `answers` are raised in turn, None takes the letter."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.taken: list[tuple[int, Letter]] = []
        self.at_once = self.most_at_once = 0
        self.hold: asyncio.Event | None = None

    async def deliver(self, letter: Letter, number: int) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
            answer = self.answers.pop(0) if self.answers else None
            if answer is not None:
                raise answer
            self.taken.append((number, letter))
        finally:
            self.at_once -= 1


class Office:
    def __init__(self, carrier: Carrier | None = None, *, readable: bool = True) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []
        ways_out = {} if carrier is None else {EMAIL: carrier}
        self.outbox = Outbox(
            ways_out, lambda: 7, readable=readable, monotonic=lambda: self.now_s, sleep=self._pass_time
        )

    async def _pass_time(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)

    async def settle(self) -> None:
        async with asyncio.timeout(20):
            while self.outbox.under_way:
                await asyncio.sleep(0)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def go() -> None:
        await work()

    asyncio.run(go())


def mail(subject: str = "Hello", to: str = "ann@example.com", worth_s: int = 600) -> Letter:
    return Letter(kind=EMAIL, to=to, subject=subject, text="12345678", worth_s=worth_s)


def down() -> Undelivered:
    return Undelivered("unreachable", "The mail server cannot be reached.")


def test_without_a_way_out_letters_wait_in_the_outbox() -> None:
    async def work() -> None:
        office = Office()
        office.outbox.send(mail("First"))
        office.outbox.send(Letter(kind=SMS, to="+49151", text="12345678"))
        newest = office.outbox.newest()
        assert [(one.kind, one.state) for one in newest] == [(SMS, KEPT_HERE), (EMAIL, KEPT_HERE)]
        assert newest[1].letter is not None and newest[1].letter.text == "12345678"
        assert office.outbox.problem == "" and office.outbox.under_way == 0

    run(work)


def test_the_outbox_keeps_the_newest_letters_only() -> None:
    async def work() -> None:
        office = Office()
        for number in range(KEPT + 5):
            office.outbox.send(mail(str(number)))
        assert [one.subject for one in office.outbox.newest()] == [str(n) for n in range(KEPT + 4, 4, -1)]
        assert office.outbox.find(5) is None
        found = office.outbox.find(6)
        assert found is not None and found.subject == "5"

    run(work)


def test_a_letter_that_was_not_taken_is_tried_again_ever_later_under_its_number() -> None:
    async def work() -> None:
        carrier = Carrier(down(), down(), down(), None)
        office = Office(carrier)
        office.outbox.send(mail(worth_s=10_000))
        await office.settle()
        assert office.pauses == [2, 6, 18]
        [posted] = office.outbox.newest()
        assert (posted.state, posted.attempts, posted.problem) == (SENT, 4, "")
        assert [number for number, _ in carrier.taken] == [posted.number]
        assert (office.outbox.sent, office.outbox.failed) == (1, 0)

    run(work)


def test_trouble_is_seen_while_it_lasts_and_names_nobody() -> None:
    async def work() -> None:
        carrier = Carrier(Undelivered("unreachable", "ann@example.com cannot be reached"))
        office = Office(carrier)
        seen: list[str] = []

        async def look(seconds: float) -> None:
            seen.append(office.outbox.problem)

        office.outbox._sleep = look
        office.outbox.send(mail())
        await office.settle()
        assert seen == ["email: unreachable (1 letter waits)"]
        assert office.outbox.problem == ""

    run(work)


def test_a_letter_is_not_tried_longer_than_it_is_worth() -> None:
    async def work() -> None:
        office = Office(Carrier(*[down() for _ in range(100)]))
        office.outbox.send(mail(worth_s=600))
        await office.settle()
        [posted] = office.outbox.newest()
        assert posted.state == FAILED and posted.problem == "The mail server cannot be reached."
        assert office.now_s < 600
        assert office.outbox.failed == 1

    run(work)


def test_what_is_refused_for_good_is_not_tried_again() -> None:
    async def work() -> None:
        office = Office(Carrier(Undelivered("recipient-refused-550", "550 no such mailbox", for_good=True)))
        office.outbox.send(mail())
        await office.settle()
        [posted] = office.outbox.newest()
        assert (posted.state, posted.attempts, posted.problem) == (FAILED, 1, "550 no such mailbox")

    run(work)


def test_a_way_out_that_breaks_loses_no_letter(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        carrier = Carrier(KeyError("inside"), None)
        office = Office(carrier)
        office.outbox.send(mail())
        await office.settle()
        assert office.outbox.newest()[0].state == SENT and len(carrier.taken) == 1

    run(work)
    assert "12345678" not in caplog.text and "ann@example.com" not in caplog.text


def test_few_letters_are_handed_over_at_once_and_sending_waits_for_none() -> None:
    async def work() -> None:
        carrier = Carrier()
        carrier.hold = asyncio.Event()
        office = Office(carrier)
        for number in range(20):
            office.outbox.send(mail(str(number)))
        await asyncio.sleep(0)
        assert carrier.at_once == 4 and {one.state for one in office.outbox.newest()} == {UNDER_WAY}
        carrier.hold.set()
        await office.settle()
        assert carrier.most_at_once == 4
        assert [letter.subject for _, letter in carrier.taken] == [str(number) for number in range(20)]

    run(work)


def test_more_letters_than_fit_are_refused_where_the_operator_sees_it() -> None:
    async def work() -> None:
        carrier = Carrier()
        carrier.hold = asyncio.Event()
        office = Office(carrier)
        for number in range(MOST_UNDER_WAY + 1):
            office.outbox.send(mail(str(number)))
        assert office.outbox.newest()[0].state == FAILED and office.outbox.newest()[1].state == UNDER_WAY
        assert office.outbox.failed == 1
        await office.outbox.stop()

    run(work)


def test_what_was_sent_is_not_readable_where_it_should_not_be() -> None:
    async def work() -> None:
        office = Office(Carrier(None, Undelivered("recipient-refused-550", "550", for_good=True)), readable=False)
        office.outbox.send(mail())
        await office.settle()
        office.outbox.send(mail())
        await office.settle()
        office.outbox.send(Letter(kind=SMS, to="+49151", text="12345678"))
        assert [one.letter is None for one in office.outbox.newest()] == [False, True, True]

    run(work)


def test_letters_of_an_erased_account_are_forgotten_sent_or_not() -> None:
    async def work() -> None:
        carrier = Carrier()
        office = Office(carrier)
        office.outbox.send(mail())
        await office.settle()
        carrier.hold = asyncio.Event()
        office.outbox.send(mail())
        office.outbox.send(mail(to="eve@example.com"))
        await asyncio.sleep(0)
        office.outbox.forget("ann@example.com")
        carrier.hold.set()
        await office.settle()
        assert [one.to for one in office.outbox.newest()] == ["eve@example.com"]
        assert [letter.to for _, letter in carrier.taken] == ["ann@example.com", "eve@example.com"]

    run(work)
