"""What the management API takes: a form of each body, checked before anything is asked of anyone.

Field names are the wire's spelling.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sparekey.console.key_acts import Proof

_Text = Annotated[str, Field(max_length=20_000)]
_Duration = Annotated[str, Field(max_length=40)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewAccount(_Body):
    email: _Text
    kyc: Literal["none", "pending", "approved"] = "none"
    totp: bool = False
    fund: dict[str, str] = Field(default_factory=dict, max_length=100)


class Funding(_Body):
    fund: dict[str, str] = Field(min_length=1, max_length=100)


class Kyc(_Body):
    kyc: Literal["none", "pending", "approved", "rejected"]


class Cause(_Body):
    reason: _Text


class Panic(_Body):
    reason: _Text | None = None


class Broker(_Body):
    broker: bool


class PublicKey(_Body):
    publicKey: _Text


class ProofOfPossession(_Body):
    """The nonce of a challenge for this public key, and the base64 signature of its text."""

    nonce: Annotated[str, Field(max_length=64)]
    signature: _Text


class NewKey(_Body):
    label: _Text
    type: Literal["hmac", "rsa", "ed25519"] = "hmac"
    publicKey: _Text | None = None
    permissions: list[str] = Field(default_factory=list, max_length=20)
    ips: list[str] = Field(default_factory=list, max_length=1000)
    proof: ProofOfPossession | None = None


class KeyEdit(_Body):
    """What is given replaces the whole of it."""

    label: _Text | None = None
    permissions: Annotated[list[str], Field(max_length=20)] | None = None
    ips: Annotated[list[str], Field(max_length=1000)] | None = None


class Rotation(_Body):
    overlap: _Duration
    publicKey: _Text | None = None
    proof: ProofOfPossession | None = None


class Duration(_Body):
    duration: _Duration


def proof_in(body: NewKey | Rotation) -> Proof | None:
    return None if body.proof is None else Proof(body.proof.nonce, body.proof.signature)


# --- what account holders send ---------------------------------------------------------------------------------------

_Email = Annotated[str, Field(max_length=1_000, examples=["ann@example.com"])]
_Password = Annotated[str, Field(max_length=1_000)]
_Name = Annotated[str, Field(max_length=1_000)]
_Code = Annotated[str, Field(max_length=128, examples=["123456"])]
_Token = Annotated[str, Field(max_length=200, description="From the link of a letter.")]


class SignIn(_Body):
    """`device` is what an earlier sign-in from here answered; without it a notice of a new device is sent."""

    email: _Email
    password: _Password
    device: Annotated[str, Field(max_length=200)] = ""


class SecondFactor(_Body):
    """`code`: of an authenticator, an SMS or the recovery codes; for a passkey the browser's credential as JSON."""

    factor: Literal["totp", "sms", "passkey", "recovery"]
    code: Annotated[str, Field(max_length=20_000)]
    device: Annotated[str, Field(max_length=200)] = ""


class SignUp(_Body):
    email: _Email
    password: _Password


class Confirmation(_Body):
    token: _Token


class Forgotten(_Body):
    email: _Email


class Reset(_Body):
    token: _Token
    password: _Password


class PasswordChange(_Body):
    old: _Password
    new: _Password


class FirstFactor(_Body):
    """The password is wanted for an account's first factor; a further one needs a step-up instead."""

    password: _Password = ""


class SmsNumber(FirstFactor):
    number: Annotated[str, Field(max_length=100, examples=["+44 7400 123456"])]


class Code(_Body):
    code: _Code


class NewPasskey(_Body):
    """`credential`: what `navigator.credentials.create` gave for the options, as JSON."""

    label: _Text
    credential: _Text


class CodeWanted(_Body):
    kind: Literal["email", "sms"]


class Proofs(_Body):
    """One second factor, and the code that was sent by e-mail where one is wanted."""

    totp: _Code = ""
    sms: _Code = ""
    recovery: _Code = ""
    passkey: _Text = ""
    email: _Code = ""


class KycApplication(_Body):
    """`mrz` is the document's machine-readable zone, two or three lines. `image`: base64 of a JPEG or PNG of it."""

    surname: _Name
    givenNames: _Name = ""
    birthDate: Annotated[str, Field(max_length=40, examples=["1990-12-31"])]
    country: Annotated[str, Field(max_length=40, examples=["UTO"])]
    documentType: Literal["passport", "identity-card"]
    number: Annotated[str, Field(max_length=200, examples=["L898902C3"])]
    mrz: Annotated[str, Field(max_length=1_000)]
    image: Annotated[str, Field(max_length=2_700_000)]


class Decision(_Body):
    """`application` names the one that was looked at; `by` signs, with a name or initials; `reason` is told to the
    holder of a rejected one."""

    application: Annotated[str, Field(max_length=200)]
    decision: Literal["approved", "rejected"]
    by: Annotated[str, Field(max_length=1_000, examples=["M. K."])]
    reason: _Text = ""
