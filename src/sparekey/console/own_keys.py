"""What signed-in holders do with their own keys: the same acts as the operator's, as the account, with step-up.

An act that gives power (create, edit, rotate, enable) or cannot be undone (delete) takes a step-up that was proven for
exactly that act. Disabling a key and panic do not: they only take power, `enable` gives it back key by key, and who
must stop a key now should not have to look for a phone. A guarded platform wants proof that a public key's private half
is in its owner's hands; a sandbox looks at one that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sparekey.access.expiry import STANDARD
from sparekey.access.possession import Challenge
from sparekey.access.state import AccessState, Account, Key
from sparekey.console.factors import SignedIn
from sparekey.console.key_acts import KeyActs, KeyWish, Made, Proof, Restrictions, mask_of
from sparekey.console.letters import Circumstances, Letters
from sparekey.console.refused import ManagementRefused
from sparekey.console.step_up import Action, StepUps
from sparekey.terms.clocktime import HOUR_US, MINUTE_US
from sparekey.terms.letters import Letter
from sparekey.terms.permissions import Permission, names_of
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

_UNPROVEN = Refusal(Reason.POSSESSION_UNPROVEN, ("no challenge was signed",))


class Possession(NamedTuple):
    """That the account's holder has the private half of this public key; only `OwnKeys.prove` makes one."""

    account_id: int
    public_key: str


class OwnKeys:
    """`tell` sends an account's holder the letter that is composed for an address."""

    def __init__(
        self,
        acts: KeyActs,
        access: AccessState,
        step_ups: StepUps,
        letters: Letters,
        tell: Callable[[int, Callable[[str], Letter]], None],
        policy_us: Callable[[], int],
        *,
        proof_wanted: bool,
    ) -> None:
        self.acts = acts
        self.proof_wanted = proof_wanted
        self._access = access
        self._step_ups = step_ups
        self._letters = letters
        self._tell = tell
        self._policy_us = policy_us

    # --- looking -----------------------------------------------------------------------------------------------------

    def account(self, session: SignedIn) -> Account:
        account = self._access.account(session.account_id)
        if account is None:
            raise ManagementRefused(Refusal(Reason.ACCOUNT_UNKNOWN))
        return account

    def keys(self, session: SignedIn) -> list[Key]:
        """Those that are not deleted, oldest first."""
        return self._access.keys_of(session.account_id)

    def key(self, session: SignedIn, key_id: int) -> Key:
        """A key of another account is as unknown as one that never was."""
        key = self._access.keys.get(key_id)
        if key is None or key.account_id != session.account_id or key.status == "deleted":
            raise ManagementRefused(Refusal(Reason.KEY_UNKNOWN))
        return key

    def neighbour(self, key_id: int) -> Key | None:
        """What a key replaces or is replaced by, if it is there."""
        key = self._access.keys.get(key_id)
        return None if key is None or key.status == "deleted" else key

    def missing(self, session: SignedIn) -> list[Refusal]:
        """All that keeps the account from having keys, not only what is met first."""
        account = self.account(session)
        found = []
        if account.suspended:
            found.append(Refusal(Reason.ACCOUNT_SUSPENDED))
        if account.kyc != "approved":
            found.append(Refusal(Reason.KYC_MISSING, (account.kyc,)))
        if not account.factors:
            found.append(Refusal(Reason.FACTOR_MISSING))
        return found

    def expires_without_whitelist_us(self) -> int:
        """When a key that is made now, and that any address may use, expires."""
        expires_us = STANDARD.at_birth((), self._policy_us())
        assert expires_us is not None
        return expires_us

    # --- possession --------------------------------------------------------------------------------------------------

    def open_challenge(self, session: SignedIn, public_key: str) -> Challenge:
        return self.acts.open_challenge(session.account_id, public_key)

    def prove(self, session: SignedIn, public_key: str, proof: Proof) -> Possession:
        """The challenge is spent, whatever comes of it."""
        self.acts.check_proof(session.account_id, public_key, proof)
        return Possession(session.account_id, public_key)

    def _check(self, session: SignedIn, public_key: str, possession: Possession | None) -> None:
        if possession is None:
            if public_key and self.proof_wanted:
                raise ManagementRefused(_UNPROVEN)
        elif possession != (session.account_id, public_key):
            raise ManagementRefused(_UNPROVEN)

    # --- what an act is called, for its step-up ----------------------------------------------------------------------

    def creation(self, wish: KeyWish) -> Action:
        may = _may(wish.permissions)
        text = f"create the API key “{wish.label.strip()}”, which may: {may}; {_from(wish.ips)}"
        return Action.of("key-create", "", text, wish)

    def edit(self, key: Key, wanted: Restrictions) -> Action:
        changes = []
        if wanted.label is not None and wanted.label.strip() != key.label:
            changes.append(f"call it “{wanted.label.strip()}”")
        if wanted.permissions is not None:
            changes.append(f"let it do: {_may(wanted.permissions)}")
        if wanted.ips is not None:
            changes.append(_from(wanted.ips))
        return Action.of("key-edit", key.api_key, f"change {_named(key)}: {'; '.join(changes)}", _plain(wanted))

    def rotation(self, key: Key, overlap_us: int, public_key: str = "") -> Action:
        hours, minutes = overlap_us // HOUR_US, overlap_us % HOUR_US // MINUTE_US
        beside = f"stays valid for {hours} h {minutes} min" if overlap_us else "ends at once"
        text = f"replace {_named(key)} by a new one, beside which it {beside}"
        return Action.of("key-rotate", key.api_key, text, (overlap_us, public_key))

    def enabling(self, key: Key) -> Action:
        return Action.of("key-enable", key.api_key, f"enable {_named(key)}")

    def deletion(self, key: Key) -> Action:
        return Action.of("key-delete", key.api_key, f"delete {_named(key)} for good")

    # --- acts --------------------------------------------------------------------------------------------------------

    async def create(
        self, session: SignedIn, step_up_id: str, wish: KeyWish, possession: Possession | None = None
    ) -> Made:
        """The secret is told here, and never again."""
        self._check(session, wish.public_key, possession)
        self._need(self.acts.try_creation(session.account_id, wish))  # a proof is not used up for what cannot be
        self._take(session, step_up_id, self.creation(wish))
        made = await self.acts.create(session.account_id, wish)
        self._note(session, "created", made.key, self._facts(made.key))
        return made

    async def change(self, session: SignedIn, step_up_id: str, key_id: int, wanted: Restrictions) -> dict[str, Any]:
        key = self.key(session, key_id)
        self._need(self.acts.try_edit(key, wanted))
        self._take(session, step_up_id, self.edit(key, wanted))
        document = await self.acts.edit(key, wanted, actor=session.account_id)
        self._note(session, "edited", key, self._facts(key))
        return document

    async def rotate(
        self,
        session: SignedIn,
        step_up_id: str,
        key_id: int,
        overlap_us: int,
        public_key: str = "",
        possession: Possession | None = None,
    ) -> Made:
        key = self.key(session, key_id)
        self._check(session, public_key, possession)
        self._need(self.acts.try_rotation(key, overlap_us, public_key))
        self._take(session, step_up_id, self.rotation(key, overlap_us, public_key))
        made = await self.acts.rotate(key, overlap_us, public_key, actor=session.account_id)
        self._note(session, "rotated", key)
        return made

    async def enable(self, session: SignedIn, step_up_id: str, key_id: int) -> dict[str, Any]:
        key = self.key(session, key_id)
        self._take(session, step_up_id, self.enabling(key))
        document = await self.acts.enable(key, actor=session.account_id)
        self._note(session, "enabled", key, self._facts(key))
        return document

    async def delete(self, session: SignedIn, step_up_id: str, key_id: int) -> dict[str, Any]:
        key = self.key(session, key_id)
        label, api_key = key.label, key.api_key
        self._take(session, step_up_id, self.deletion(key))
        document = await self.acts.delete(key, actor=session.account_id)
        self._note(session, "deleted", key, label=label, api_key=api_key)
        return document

    async def disable(self, session: SignedIn, key_id: int) -> dict[str, Any]:
        key = self.key(session, key_id)
        document = await self.acts.disable(key, actor=session.account_id)
        self._note(session, "disabled", key)
        return document

    async def panic(self, session: SignedIn) -> list[str]:
        """Disable every active key of the account and its sub-accounts; the API keys of those that were."""
        account = self.account(session)
        stopped = await self.acts.panic(account.account_id, "the holder's panic button")
        circumstances = self._circumstances(session)
        self._tell(account.account_id, lambda to: self._letters.panic_notice(to, len(stopped), circumstances))
        return stopped

    # --- within ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _need(outcome: object) -> None:
        if isinstance(outcome, Refusal):
            raise ManagementRefused(outcome)

    def _take(self, session: SignedIn, step_up_id: str, action: Action) -> None:
        refusal = self._step_ups.take(step_up_id, session, action)
        if refusal is not None:
            raise ManagementRefused(refusal)

    def _circumstances(self, session: SignedIn) -> Circumstances:
        return Circumstances(self._policy_us(), session.ip, session.agent)

    def _facts(self, key: Key) -> list[tuple[str, str]]:
        return [
            ("May", ", ".join(names_of(Permission(key.permissions)))),
            ("Used from", ", ".join(key.whitelist) or "any address"),
        ]

    def _note(
        self,
        session: SignedIn,
        act: str,
        key: Key,
        facts: Sequence[tuple[str, str]] = (),
        *,
        label: str = "",
        api_key: str = "",
    ) -> None:
        """A letter to the key's holder, who may not be who did it. A deleted key has lost its label."""
        circumstances, names = self._circumstances(session), (label or key.label, api_key or key.api_key)
        self._tell(session.account_id, lambda to: self._letters.key_notice(to, act, *names, circumstances, facts))


def _named(key: Key) -> str:
    return f"the API key “{key.label}” (…{key.api_key[-6:]})"


def _may(permissions: Sequence[str]) -> str:
    """In words, for the page and the letter that ask for a proof."""
    names = names_of(mask_of(permissions) | Permission.READING)
    return ", ".join(name.replace("-", " ") for name in names)


def _from(ips: Sequence[str]) -> str:
    if not ips:
        return "from any address, for 90 days"
    shown = ", ".join(ips[:3])
    return f"from {shown}{f' and {len(ips) - 3} more' if len(ips) > 3 else ''} alone"


def _plain(wanted: Restrictions) -> Any:
    return [None if part is None or isinstance(part, str) else list(part) for part in wanted]
