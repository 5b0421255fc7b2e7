"""Step-up: proof, afresh and for one action, that whoever holds a session is the account's owner.

An action says what is to be done, to what, and with which parameters. `begin` opens a step-up for it, codes are sent
for this step-up alone, `prove` takes the proofs that the policy wants, and `take` hands the proof in, once, within five
minutes, for the same action in the same session. So a code that was given for one action is good for no other, and a
stolen session alone changes nothing that matters.

Step-ups live in memory: a restart forgets them, which costs their owner another code and the journal nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from sparekey.console.codes import Codes
from sparekey.console.factors import Factors, SignedIn
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: From the proof to the action.
FRESH_US: Final = 5 * MINUTE_US
#: From the question to the proof: time for a second code, should the first get lost.
OPEN_US: Final = 20 * MINUTE_US
#: Open step-ups of one session, and of all; the oldest makes room.
OPEN_MOST: Final = 10
_ALL_MOST: Final = 10_000

_NOT_OPEN = Refusal(Reason.STEP_UP_REQUIRED, ("there is none that is open, or it is too old",))
_PROVEN = Refusal(Reason.STEP_UP_REQUIRED, ("this one was proven already, by other codes",))


class Action(msgspec.Struct, frozen=True):
    """`kind` and `subject` name the act (`key-edit` of a key, say); `text` says it to people, as what follows “you are
    about to”; `digest` stands for its parameters."""

    kind: str
    subject: str
    text: str
    digest: str = ""

    @classmethod
    def of(cls, kind: str, subject: str, text: str, parameters: Any = None) -> Action:
        """`parameters`: plain data, of which two that are equal give the same digest."""
        encoded = msgspec.json.encode(parameters, order="deterministic")
        return cls(kind, subject, text, hashlib.sha256(encoded).hexdigest())


#: What goes on once a step-up is proven: given the request that proved it and the step-up's id, it takes the proof,
#: acts and answers. A page keeps a form in it, for who has to leave the form to prove themselves.
Continuation = Callable[[Any, str], Awaitable[Any]]


class StepUp(msgspec.Struct, eq=False, kw_only=True):
    """`proved_by` is the second factor that proved it, and `proved_with` a digest of all that was sent to do so.
    `proved_us` is 0 before; `taken` says that it is used up."""

    id: str
    account_id: int
    handle: str
    action: Action
    needs_email: bool
    opened_us: int
    back: str = ""
    then: Continuation | None = None
    proved_us: int = 0
    proved_by: str = ""
    proved_with: bytes = b""
    taken: bool = False


class StepUps:
    """`needs_email`: beside a second factor a code by e-mail is wanted, too. `now_us` is policy time."""

    def __init__(self, factors: Factors, codes: Codes, now_us: Callable[[], int], *, needs_email: bool = True) -> None:
        self._factors = factors
        self._codes = codes
        self._now_us = now_us
        self._needs_email = needs_email
        self._open: dict[str, StepUp] = {}

    def begin(
        self, session: SignedIn, action: Action, then: Continuation | None = None, *, back: str = ""
    ) -> StepUp | Refusal:
        """Open a step-up. `back` is the page to return to for who thinks better of it."""
        if not self._factors.choices(session.account_id):
            return Refusal(Reason.FACTOR_MISSING)
        now_us = self._now_us()
        self._forget_old(now_us)
        own = [step_up.id for step_up in self._open.values() if step_up.handle == session.handle]
        for step_up_id in own[: max(0, len(own) - OPEN_MOST + 1)]:
            self._forget(step_up_id)
        step_up = StepUp(
            id=secrets.token_urlsafe(16),
            account_id=session.account_id,
            handle=session.handle,
            action=action,
            needs_email=self._needs_email,
            opened_us=now_us,
            back=back,
            then=then,
        )
        self._open[step_up.id] = step_up
        return step_up

    def find(self, step_up_id: str, session: SignedIn) -> StepUp | None:
        """One that this session opened and that is neither over nor used up."""
        step_up = self._open.get(step_up_id)
        if step_up is None or step_up.handle != session.handle or step_up.account_id != session.account_id:
            return None
        return None if step_up.taken or self._is_over(step_up, self._now_us()) else step_up

    def send_code(self, step_up_id: str, session: SignedIn, kind: str) -> Refusal | None:
        """Send a code that is good for this step-up alone; `kind` is email or sms. The last one of its kind ends."""
        step_up = self.find(step_up_id, session)
        if step_up is None or step_up.proved_us:
            return _NOT_OPEN
        if kind == "email" and step_up.needs_email:
            return self._factors.send_email(step_up.account_id, step_up.id, step_up.action.text)
        if kind == "sms":
            return self._factors.send_sms(step_up.account_id, step_up.id, step_up.action.text)
        return Refusal(Reason.REQUEST_INVALID, ("Codes for this go out by SMS, or by e-mail where one is wanted.",))

    async def prove(self, step_up_id: str, session: SignedIn, proofs: Mapping[str, str]) -> Refusal | None:
        """`proofs` holds exactly one second factor, and the e-mail code if it is wanted: `{"totp": "…", "email": "…"}`.

        All of them count as one attempt; a right set costs none.
        """
        step_up = self.find(step_up_id, session)
        if step_up is None:
            return _NOT_OPEN
        typed = {name: proof for name, proof in proofs.items() if proof.strip()}
        said = hashlib.sha256(msgspec.json.encode(typed, order="sorted")).digest()
        if step_up.proved_us:
            # Only who proved it hears so again: a copy of the session's old token must gain nothing by asking.
            return None if hmac.compare_digest(said, step_up.proved_with) else _PROVEN
        account_id = step_up.account_id
        email = typed.pop("email", "")
        names = self._factors.choices(account_id)
        if not names:
            return Refusal(Reason.FACTOR_MISSING)
        if len(typed) != 1 or next(iter(typed)) not in names:
            return Refusal(Reason.REQUEST_INVALID, (f"One second factor is wanted: {' or '.join(names)}.",))
        if step_up.needs_email and not email:
            return Refusal(Reason.REQUEST_INVALID, ("The code that was sent by e-mail is wanted, too.",))
        refusal = self._factors.start_attempt(account_id)
        if refusal is None:
            [(name, proof)] = typed.items()
            refusal = await self._look(step_up, name, proof, email)
            if refusal is None:
                step_up.proved_with = said
            self._factors.end_attempt(account_id, refusal)
        await self._factors.durable()
        return refusal

    async def _look(self, step_up: StepUp, name: str, proof: str, email: str) -> Refusal | None:
        refusal = self._codes.check("email", step_up.id, email) if step_up.needs_email else None
        if refusal is None:
            refusal = await self._factors.verify(step_up.account_id, name, proof, step_up.id)
        if refusal is None and step_up.needs_email:
            refusal = self._codes.spend("email", step_up.id, email)  # it may have been spent meanwhile
        if refusal is None:
            self._codes.end(step_up.id)
            step_up.proved_us, step_up.proved_by = self._now_us(), name
        return refusal

    def take(self, step_up_id: str, session: SignedIn, action: Action) -> Refusal | None:
        """Hand the proof in. It is gone afterwards, and only then: for another action it stays what it is."""
        step_up = self.find(step_up_id, session)
        if step_up is None:
            return _NOT_OPEN
        if step_up.action != action:
            return Refusal(Reason.STEP_UP_REQUIRED, ("the proof was given for another act",))
        if not step_up.proved_us:
            return Refusal(Reason.STEP_UP_REQUIRED, ("nothing was proven yet",))
        step_up.taken = True
        step_up.then = None
        return None

    @staticmethod
    def _is_over(step_up: StepUp, now_us: int) -> bool:
        if step_up.proved_us:
            return now_us >= step_up.proved_us + FRESH_US
        return now_us >= step_up.opened_us + OPEN_US

    def _forget_old(self, now_us: int) -> None:
        """They stand oldest first."""
        for step_up in list(self._open.values()):
            if len(self._open) < _ALL_MOST and now_us < step_up.opened_us + OPEN_US + FRESH_US:
                break
            self._forget(step_up.id)

    def _forget(self, step_up_id: str) -> None:
        del self._open[step_up_id]
        self._codes.end(step_up_id)
