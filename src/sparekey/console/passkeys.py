"""Passkeys (WebAuthn, level 2): challenges for making and using them, and what answers them looked at.

A challenge is for one account, one purpose (a session's enrolment, a sign-in, a step-up) and one origin, good once and
for five minutes. Whoever answers it must have been verified by the device (a PIN, a finger, a face), at the origin at
which it was asked. That the count of signatures grows is the writer's to decide (`UsePasskey`).

A passkey belongs to a host name, never to an IP address: the console's public address, or localhost.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from sparekey.access.state import Passkey
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

LIFETIME_US: Final = 5 * MINUTE_US
_CHALLENGE_BYTES: Final = 32
#: Challenges that are open at a time, of everybody; the oldest makes room.
_OPEN_MOST: Final = 10_000
#: Of an answer, as JSON: a device's certificates are the longest part.
_LONGEST_ANSWER: Final = 20_000
_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
_TRANSPORTS: Final = {transport.value: transport for transport in AuthenticatorTransport}


class NewPasskey(NamedTuple):
    """All text is base64url; `transports` are words of the standard, such as usb or internal."""

    credential_id: str
    public_key: str
    sign_count: int
    transports: tuple[str, ...]


class UsedPasskey(NamedTuple):
    credential_id: str
    sign_count: int


class _Challenge(NamedTuple):
    account_id: int
    act: str
    origin: str
    nonce: bytes
    until_us: int


class Passkeys:
    """`origins` are the console's own, such as https://exchange.example. `holder_of` gives the opaque bytes under
    which devices know an account. `now_us` is policy time."""

    def __init__(self, origins: Iterable[str], holder_of: Callable[[int], bytes], now_us: Callable[[], int]) -> None:
        self._origins = {urlsplit(origin).netloc: origin for origin in origins if _has_name(origin)}
        self._holder_of = holder_of
        self._now_us = now_us
        self._open: dict[tuple[str, str], _Challenge] = {}

    def origin_of(self, host: str) -> str | None:
        """The origin of a page that was asked for under this Host header; None where passkeys cannot be used."""
        return self._origins.get(host.lower())

    @property
    def origins(self) -> list[str]:
        """Where they can be used."""
        return list(self._origins.values())

    def ask_new(self, purpose: str, account_id: int, name: str, held: Sequence[Passkey], origin: str) -> str:
        """Options of `navigator.credentials.create`, as JSON. `name`: what the device shows; `held`: there already."""
        options = generate_registration_options(
            rp_id=_host_of(origin),
            rp_name="Sparekey",
            user_name=name,
            user_id=self._holder_of(account_id),
            challenge=self._nonce(purpose, account_id, "create", origin),
            timeout=LIFETIME_US // 1_000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=_described(held),
            supported_pub_key_algs=_ALGORITHMS,
        )
        return options_to_json(options)

    def ask_proof(self, purpose: str, account_id: int, held: Sequence[Passkey], origin: str) -> str:
        """Options of `navigator.credentials.get`, as JSON."""
        options = generate_authentication_options(
            rp_id=_host_of(origin),
            challenge=self._nonce(purpose, account_id, "get", origin),
            timeout=LIFETIME_US // 1_000,
            allow_credentials=_described(held),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    def take_new(self, purpose: str, account_id: int, answer: str) -> NewPasskey | Refusal:
        """What the device made, if it answers the open challenge. The challenge is spent, whatever comes of it."""
        challenge = self._take(purpose, account_id, "create")
        if challenge is None:
            return _refused("the challenge was used, or is older than five minutes")
        if len(answer) > _LONGEST_ANSWER:
            return _refused("the answer is too long")
        try:
            credential = parse_registration_credential_json(answer)
            verified = verify_registration_response(
                credential=credential,
                expected_challenge=challenge.nonce,
                expected_rp_id=_host_of(challenge.origin),
                expected_origin=challenge.origin,
                require_user_verification=True,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except Exception as error:  # whatever a parser of strangers' bytes may raise: none of it is a yes
            return _refused(_what(error))
        transports = credential.response.transports or []
        return NewPasskey(
            bytes_to_base64url(verified.credential_id),
            bytes_to_base64url(verified.credential_public_key),
            verified.sign_count,
            tuple(transport.value for transport in transports),
        )

    def take_proof(self, purpose: str, account_id: int, held: Sequence[Passkey], answer: str) -> UsedPasskey | Refusal:
        """Which of `held` answered the open challenge. The challenge is spent, whatever comes of it."""
        challenge = self._take(purpose, account_id, "get")
        if challenge is None:
            return _refused("the challenge was used, or is older than five minutes")
        if len(answer) > _LONGEST_ANSWER:
            return _refused("the answer is too long")
        try:
            credential = parse_authentication_credential_json(answer)
            passkey = next((one for one in held if one.credential_id == credential.id), None)
            if passkey is None:
                return _refused("it is none of this account")
            holder = credential.response.user_handle
            if holder is not None and holder != self._holder_of(account_id):
                return _refused("it was made for another account")
            verified = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge.nonce,
                expected_rp_id=_host_of(challenge.origin),
                expected_origin=challenge.origin,
                credential_public_key=base64url_to_bytes(passkey.public_key),
                credential_current_sign_count=0,  # the writer compares it, with what it is then
                require_user_verification=True,
            )
        except Exception as error:  # as above
            return _refused(_what(error))
        return UsedPasskey(passkey.credential_id, verified.new_sign_count)

    def _nonce(self, purpose: str, account_id: int, act: str, origin: str) -> bytes:
        """Of the challenge that is open already, so that a page may be loaded twice, or of a new one."""
        now_us = self._now_us()
        while self._open:
            oldest = next(iter(self._open))
            if len(self._open) < _OPEN_MOST and now_us < self._open[oldest].until_us:
                break
            del self._open[oldest]
        known = self._open.get((act, purpose))
        if known is not None and (known.account_id, known.origin) == (account_id, origin) and now_us < known.until_us:
            return known.nonce
        self._open.pop((act, purpose), None)  # to the end: the newest
        nonce = secrets.token_bytes(_CHALLENGE_BYTES)
        self._open[act, purpose] = _Challenge(account_id, act, origin, nonce, now_us + LIFETIME_US)
        return nonce

    def _take(self, purpose: str, account_id: int, act: str) -> _Challenge | None:
        challenge = self._open.pop((act, purpose), None)
        if challenge is None or challenge.account_id != account_id or self._now_us() >= challenge.until_us:
            return None
        return challenge


def _described(held: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(passkey.credential_id),
            transports=[_TRANSPORTS[word] for word in passkey.transports if word in _TRANSPORTS] or None,
        )
        for passkey in held
    ]


def _host_of(origin: str) -> str:
    host = urlsplit(origin).hostname
    assert host is not None
    return host


def _has_name(origin: str) -> bool:
    """Browsers let only a host name have passkeys, over TLS or on localhost."""
    parts = urlsplit(origin)
    host = parts.hostname
    if not host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return parts.scheme == "https" or host == "localhost" or host.endswith(".localhost")
    return False


def _what(error: Exception) -> str:
    """The library's own sentence, short, where it looked at the answer; else only that it cannot be read."""
    if type(error).__module__.startswith("webauthn.") and not isinstance(error, msgspec.MsgspecError):
        return " ".join(str(error).split())[:160].rstrip(".")
    return "the answer cannot be read"


def _refused(why: str) -> Refusal:
    return Refusal(Reason.PASSKEY_INVALID, (why,))
