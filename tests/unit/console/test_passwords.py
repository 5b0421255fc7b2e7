"""Passwords: which are taken, and how much work each look costs, whoever asks."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from sparekey.console.passwords import CHEAP, LONGEST, Cost, Passwords, PasswordsBusy
from sparekey.terms.reasons import Reason

STRONG = "tin giraffe, 40 lanterns"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(CHEAP)
    yield made
    made.stop()


def test_the_right_password_verifies_and_no_other(passwords: Passwords) -> None:
    async def run() -> None:
        known = await passwords.hash(STRONG)
        assert await passwords.verify(known, STRONG)
        for wrong in ("", STRONG[:-1], STRONG + " ", STRONG.upper(), "x" * 100_000, "\ud800" * 20, "\0"):
            assert not await passwords.verify(known, wrong)

    asyncio.run(run())


def test_a_hash_of_another_cost_verifies_and_is_known_to_be_outdated(passwords: Passwords) -> None:
    async def run() -> None:
        old = PasswordHasher(time_cost=2, memory_cost=64, parallelism=4).hash(STRONG)
        assert await passwords.verify(old, STRONG)
        assert passwords.is_outdated(old)
        assert not passwords.is_outdated(await passwords.hash(STRONG))
        assert not passwords.is_outdated("nonsense")

    asyncio.run(run())


def test_an_account_that_does_not_exist_costs_one_hash_and_is_never_right(passwords: Passwords) -> None:
    async def run() -> None:
        known = await passwords.hash(STRONG)
        before = passwords.hashed
        assert not await passwords.verify("", STRONG)
        assert passwords.hashed == before + 1
        assert not await passwords.verify(known, "wrong")
        assert passwords.hashed == before + 2

    asyncio.run(run())


def test_a_sealed_hash_that_cannot_be_read_is_nobodys_password(passwords: Passwords) -> None:
    assert not asyncio.run(passwords.verify("not a hash", STRONG))


def test_the_same_letters_typed_another_way_are_the_same_password(passwords: Passwords) -> None:
    async def run() -> None:
        known = await passwords.hash("Zwölf große Körbe")
        assert await passwords.verify(known, "Zwo\u0308lf große Ko\u0308rbe")

    asyncio.run(run())


@pytest.mark.parametrize(
    "password",
    [
        "",
        "Xq7!vRz2#Lp",  # 11 characters
        "password1234",
        "aaaaaaaaaaaaaaaaaaaa",
        "abcdefghijkl",
        "qwertyuiop[]",
        "123456789012345",
        "x" * (LONGEST + 1),
        STRONG + "\n",
        STRONG + "\ud800",
    ],
)
def test_a_weak_password_is_refused_with_what_is_wrong(passwords: Passwords, password: str) -> None:
    refusal = asyncio.run(passwords.check(password))
    assert refusal is not None and refusal.reason is Reason.PASSWORD_WEAK
    assert refusal.explanation.startswith("The password is too weak: it ")


@pytest.mark.parametrize("password", [STRONG, "Xq7!vRz2#LpW", "四匹の猫が窓辺で眠っている午後", "k" * 3 + STRONG * 5])
def test_a_strong_password_is_taken(passwords: Passwords, password: str) -> None:
    assert asyncio.run(passwords.check(password)) is None


def test_ones_own_address_is_no_password(passwords: Passwords) -> None:
    address = "wilhelmina.oranje@example.com"
    assert asyncio.run(passwords.check("wilhelmina.oranje")) is None
    for guessed in ("wilhelmina.oranje", address, "oranjewilhelmina"):
        assert asyncio.run(passwords.check(guessed, (address,))) is not None


def test_of_many_that_come_at_once_one_is_looked_at_and_whoever_does_not_fit_is_told_so() -> None:
    async def run() -> None:
        passwords = Passwords(CHEAP, most_waiting=3)
        go, at_work, together = threading.Event(), [0], [0]

        def work() -> bool:
            at_work[0] += 1
            together[0] = max(together[0], at_work[0])
            go.wait(10)
            at_work[0] -= 1
            return True

        waiting = [asyncio.ensure_future(passwords._in_thread(work)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(PasswordsBusy) as busy:
            await passwords.verify("", STRONG)
        assert busy.value.refusal.reason is Reason.SERVER_BUSY
        go.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert together[0] == 1
        assert not await passwords.verify("", STRONG)
        passwords.stop()

    asyncio.run(run())


def test_whoever_goes_away_keeps_the_place_until_the_thread_is_done_with_it() -> None:
    async def run() -> None:
        passwords = Passwords(CHEAP, most_waiting=1)
        go = threading.Event()
        asked = asyncio.ensure_future(passwords._in_thread(lambda: go.wait(10)))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        with pytest.raises(PasswordsBusy):
            await passwords.verify("", STRONG)
        go.set()
        for _ in range(1000):
            if not passwords._waiting:
                break
            await asyncio.sleep(0.001)
        assert not await passwords.verify("", STRONG)
        passwords.stop()

    asyncio.run(run())


def test_the_cost_is_what_the_rfc_recommends() -> None:
    passwords = Passwords()
    assert Cost() == (3, 64 * 1024)
    assert passwords.is_outdated(PasswordHasher(time_cost=2, memory_cost=64 * 1024, parallelism=1).hash("x"))
    passwords.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is the whole process's")
def test_the_thread_that_hashes_gives_way_and_no_other_thread_does(passwords: Passwords) -> None:
    def priorities() -> tuple[int, int]:
        return os.getpriority(os.PRIO_PROCESS, 0), os.getpriority(os.PRIO_PROCESS, os.getpid())

    before = priorities()
    within, of_the_process = asyncio.run(passwords._in_thread(priorities))
    assert within == min(before[0] + 10, 19)
    assert of_the_process == before[1]
