"""Proof that whoever registers a public key has its private half: a challenge, signed once.

Without it anybody could register somebody else's public key, which is public, and hold it there against its owner: a
public key belongs to one account. The management side opens a challenge for an account and a public key, its owner
signs the text, and only then is `CreateKey` or `RotateKey` submitted.

Open challenges are kept in memory alone: a restart forgets them, which costs the owner a second challenge and the
journal nothing. Randomness and time come from the caller.
"""

from __future__ import annotations

import base64
import hashlib

import msgspec

from sparekey.access.public_keys import parse_public_key
from sparekey.access.signatures import public_verifier
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

LIFETIME_US = 10 * MINUTE_US
NONCE_BYTES = 32
#: Open challenges of one account; a further one takes the place of the oldest.
OPEN_MOST = 10
#: Four times the text of the longest signature, RSA of 4096 bits.
_SIGNATURE_TEXT_MAX = 4_096


class Challenge(msgspec.Struct, frozen=True):
    """Good for one account and one public key, until `expires_us`."""

    account_id: int
    key_type: str
    spki: str
    nonce: str
    expires_us: int

    @property
    def text(self) -> str:
        """What is to be signed, as UTF-8.

        It holds neither `=` nor `timestamp`, so that no signature of it is one of a call, and no call is one of it.
        """
        digest = hashlib.sha256(self.spki.encode()).hexdigest()
        return (
            f"sparekey proof of possession\naccount {self.account_id}\nkey {self.key_type} sha256 {digest}\n"
            f"nonce {self.nonce}\n"
        )


class Challenges:
    """The challenges that are open. Times may be of any one clock that does not go back."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[int, list[Challenge]] = {}

    def open(self, account_id: int, public_key: str, nonce: bytes, now_us: int) -> Challenge | Refusal:
        """A challenge for the PEM as pasted. `nonce`: 32 random bytes; ValueError for another length."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
        parsed = parse_public_key(public_key)
        if isinstance(parsed, Refusal):
            return parsed
        challenge = Challenge(account_id, parsed.type, parsed.spki, nonce.hex(), now_us + LIFETIME_US)
        living = [one for one in self._open.get(account_id, ()) if now_us < one.expires_us]
        self._open[account_id] = [*living[-(OPEN_MOST - 1) :], challenge]
        return challenge

    def redeem(self, account_id: int, nonce: str, public_key: str, signature: str, now_us: int) -> Refusal | None:
        """None if the base64 `signature` proves possession of the key whose PEM this is.

        The challenge is spent, whatever comes of it. One of another account is as unknown as one that never was.
        """
        challenge = self._take(account_id, nonce, now_us)
        if challenge is None:
            return _unproven("the challenge is unknown, spent, or older than ten minutes")
        parsed = parse_public_key(public_key)
        if isinstance(parsed, Refusal):
            return parsed
        if parsed.spki != challenge.spki:
            return _unproven("the challenge is for another public key")
        signature = signature.strip()
        if len(signature) > _SIGNATURE_TEXT_MAX:
            return _unproven("what was sent as a signature is too long to be one")
        verifier = public_verifier(parsed.type, base64.b64decode(parsed.spki))
        if verifier.verify(challenge.text.encode(), signature) is not None:
            return _unproven("the signature does not fit the challenge and the public key")
        return None

    def _take(self, account_id: int, nonce: str, now_us: int) -> Challenge | None:
        living = [one for one in self._open.get(account_id, ()) if now_us < one.expires_us]
        found = next((one for one in living if one.nonce == nonce), None)
        left = [one for one in living if one is not found]
        if left:
            self._open[account_id] = left
        else:
            self._open.pop(account_id, None)
        return found


def _unproven(sentence: str) -> Refusal:
    return Refusal(Reason.POSSESSION_UNPROVEN, (sentence,))
