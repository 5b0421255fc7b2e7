"""Codes and tries on the assembled platform: used once whichever door they come to, bound to what they were sent for,
counted over all factors, doors and addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from sparekey.access.commands import StartFactorAttempt
from sparekey.terms.clocktime import MINUTE_US
from tests.console_platform import NUMBER, Answer, HandClock, Holder, Platform, on_a_platform


async def half_open(holder: Holder) -> str:
    """The token of another session of the account that lacks its second factor."""
    body = {"email": holder.email, "password": holder.password}
    answer = await holder.platform.ask("POST", "/session", body, ip="198.51.100.1")
    assert answer.body["stage"] == "half", answer
    return str(answer.body["token"])


async def prove_factor(holder: Holder, token: str, factor: str, code: str, ip: str = "198.51.100.1") -> Answer:
    return await holder.platform.ask("POST", "/session/factor", {"factor": factor, "code": code}, token, ip)


def outcomes(answers: Sequence[Answer]) -> list[str]:
    return sorted(answer.reason or "done" for answer in answers)


def test_a_code_counts_once_whichever_doors_it_comes_to_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        halves = [await half_open(ann) for _ in range(3)]
        wanted = await ann.ask("POST", "/me/recovery-codes")
        path = f"/me/step-ups/{wanted.body['stepUp']['id']}"
        await ann.done("POST", f"{path}/codes", {"kind": "email"})
        email, code = ann.code("email"), ann.shown()
        answers = await asyncio.gather(
            *(prove_factor(ann, half, "totp", code) for half in halves),
            ann.ask("POST", f"{path}/proof", {"totp": code, "email": email}),
        )
        assert outcomes(answers) == ["done", "factor-used", "factor-used", "factor-used"]
        # One after the other, and another sign-in.
        assert (await prove_factor(ann, await half_open(ann), "totp", code)).reason == "factor-used"

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_of_codes_a_b_and_a_again_the_third_is_refused_also_after_a_restart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []

    async def before(platform: Platform) -> None:
        ann = await platform.verified()
        platform.wait(MINUTE_US)
        first = ann.shown()
        half = await half_open(ann)
        assert (await prove_factor(ann, half, "totp", first)).status == 200
        second = ann.shown()
        assert (await prove_factor(ann, await half_open(ann), "totp", second)).status == 200
        for code in (first, second):
            assert (await prove_factor(ann, await half_open(ann), "totp", code)).status in (400, 409)
        told.extend((ann.seed, second))

    async def after(platform: Platform) -> None:
        ann = platform.holder()
        ann.seed = told[0]
        answer = await prove_factor(ann, await half_open(ann), "totp", told[1])
        assert answer.reason == "factor-used"
        assert (await prove_factor(ann, await half_open(ann), "totp", ann.shown())).status == 200

    clock = HandClock()
    on_a_platform(monkeypatch, tmp_path / "data", before, clock, durability="normal")
    on_a_platform(monkeypatch, tmp_path / "data", after, clock, durability="normal")


def test_five_wrong_codes_stop_all_factors_at_all_doors_from_all_addresses_and_a_right_one_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        codes = (await ann.step_up("POST", "/me/recovery-codes"))["codes"]
        await ann.step_up("POST", "/me/factors/sms", {"number": NUMBER})
        await ann.done("POST", "/me/factors/sms/confirm", {"code": ann.code("sms")})
        half = await half_open(ann)
        wanted = await ann.ask("DELETE", "/me/factors/sms")
        proof = f"/me/step-ups/{wanted.body['stepUp']['id']}/proof"
        # At once, so that none is counted late: of nine wrong ones five are looked at.
        answers = await asyncio.gather(
            *(prove_factor(ann, half, "totp", "000000", f"198.51.100.{number}") for number in range(3)),
            *(prove_factor(ann, half, "sms", "00000000", f"203.0.113.{number}") for number in range(2)),
            *(prove_factor(ann, half, "recovery", "a" * 16) for _ in range(2)),
            *(ann.ask("POST", proof, {"totp": "000000", "email": "00000000"}) for _ in range(2)),
        )
        assert outcomes(answers).count("factor-limit") == 4
        for factor, code in (("totp", ann.shown()), ("recovery", codes[0])):
            refused = await prove_factor(ann, half, factor, code, "203.0.113.99")
            assert (refused.status, refused.reason) == (429, "factor-limit")
        platform.wait(5 * MINUTE_US)
        assert (await prove_factor(ann, await half_open(ann), "recovery", codes[0])).status == 200

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_no_code_is_looked_at_when_the_try_cannot_be_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What counts is the writer of the journal: if it is gone, so is every answer that could tell right from wrong."""

    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        half = await half_open(ann)
        sequencer = platform.running._sequencer
        submit = sequencer.submit

        def broken(shard: str, command: object) -> object:
            if isinstance(command, StartFactorAttempt):
                raise RuntimeError("the journal is gone")
            return submit(shard, command)

        monkeypatch.setattr(sequencer, "submit", broken)
        for code in (ann.shown(), "000000"):
            with pytest.raises(RuntimeError):
                await prove_factor(ann, half, "totp", code)
        monkeypatch.setattr(sequencer, "submit", submit)
        assert (await prove_factor(ann, half, "totp", ann.shown())).status == 200

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_a_code_that_was_sent_is_good_for_its_act_its_session_and_ten_minutes_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        acts = (("POST", "/me/recovery-codes"), ("DELETE", "/me/factors/totp"))
        ids = [(await ann.ask(*act)).body["stepUp"]["id"] for act in acts]
        codes = []
        for step_up_id in ids:
            await ann.done("POST", f"/me/step-ups/{step_up_id}/codes", {"kind": "email"})
            codes.append(ann.code("email"))
        assert codes[0] != codes[1]
        assert all(len(code) == 8 for code in codes)  # 26 bits
        crossed = await ann.ask("POST", f"/me/step-ups/{ids[0]}/proof", {"totp": ann.shown(), "email": codes[1]})
        assert crossed.reason == "code-wrong"
        # Each letter says what its code is for.
        said = [letter.text for letter in platform.letters(ann.email)][-2:]
        assert "make new recovery codes" in said[0]
        assert "turn off" in said[1]
        platform.wait(10 * MINUTE_US)
        late = await ann.ask("POST", f"/me/step-ups/{ids[1]}/proof", {"totp": ann.shown(), "email": codes[1]})
        assert late.reason == "code-expired"
        await ann.done("POST", f"/me/step-ups/{ids[0]}/codes", {"kind": "email"})
        email = ann.code("email")
        for _ in range(2):  # a proof that stands is not looked at again, and the act takes it once
            await ann.ask("POST", f"/me/step-ups/{ids[0]}/proof", {"totp": ann.shown(), "email": email})
        assert (await ann.ask("POST", "/me/recovery-codes", X_Step_Up=ids[0])).status == 200
        assert (await ann.ask("POST", "/me/recovery-codes", X_Step_Up=ids[0])).reason == "step-up-required"

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_the_last_factor_goes_by_itself_or_a_recovery_code_is_told_of_and_holds_withdrawals(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        assert (await ann.ask("DELETE", "/me/factors/totp")).reason == "step-up-required"
        wanted = await ann.ask("DELETE", "/me/factors/totp")
        path = f"/me/step-ups/{wanted.body['stepUp']['id']}"
        await ann.done("POST", f"{path}/codes", {"kind": "email"})
        alone = await ann.ask("POST", f"{path}/proof", {"email": ann.code("email")})
        assert alone.reason == "request-invalid"
        await ann.step_up("DELETE", "/me/factors/totp")
        account = platform.running._access.accounts[ann.account_id]
        assert account.factors == []
        assert account.withdrawals_from_us > platform.running._clocks.policy_us()
        assert "is no longer a second factor" in platform.letters(ann.email)[-1].text

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_recovery_codes_count_once_a_new_set_ends_them_and_none_can_be_read_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        old = (await ann.step_up("POST", "/me/recovery-codes"))["codes"]
        vault = platform.running._vault
        (name,) = [f"recovery/{subject}/{name}" for subject, name in vault.names("recovery")]
        sealed = vault.open(name)
        assert sealed.count(b"$argon2id$") == len(old) == len(set(old)) == 10
        assert not any(code.replace("-", "").encode() in sealed for code in old)
        answers = await asyncio.gather(
            *[prove_factor(ann, token, "recovery", old[0]) for token in [await half_open(ann) for _ in range(3)]]
        )
        assert outcomes(answers).count("done") == 1
        new = (await ann.step_up("POST", "/me/recovery-codes"))["codes"]
        assert (await prove_factor(ann, await half_open(ann), "recovery", old[1])).reason == "recovery-wrong"
        assert (await prove_factor(ann, await half_open(ann), "recovery", new[1])).status == 200
        assert [one for one in vault.names("recovery") if f"recovery/{one[0]}/{one[1]}" == name] == []

    on_a_platform(monkeypatch, tmp_path / "data", work)
