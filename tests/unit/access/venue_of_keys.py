"""A small access shard to ask things of: one verified account, keys on demand, and callers that sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import sparekey.access
from sparekey.access.commands import CreateAccount, CreateKey
from sparekey.access.credentials import api_key_from, secret_from
from sparekey.access.gate import Gate
from sparekey.access.limits import IpLedger, LimitPolicy, parse_profile
from sparekey.access.shard import AccessShard
from sparekey.access.state import Key
from sparekey.terms.admissions import Admission
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

NOW_US = 1_700_000_000_000_000  # 2023-11-14 22:13:20 UTC
HOME = "127.0.0.1"
PAYLOAD = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&timestamp=1700000000000"
READ_AND_TRADE = int(Permission.READING | Permission.SPOT_AND_MARGIN_TRADING)

Sign = Callable[[bytes], str]


def profile(name: str) -> LimitPolicy:
    return parse_profile((Path(sparekey.access.__file__).parent / "profiles" / f"{name}.toml").read_text())


def entropy(seed: str) -> bytes:
    return hashlib.sha384(seed.encode()).digest()


def sign_hmac(secret: str) -> Sign:
    return lambda payload: hmac.new(secret.encode(), payload, "sha256").hexdigest()


def sign_ed25519(private: ed25519.Ed25519PrivateKey) -> Sign:
    return lambda payload: base64.b64encode(private.sign(payload)).decode()


def sign_rsa(private: rsa.RSAPrivateKey) -> Sign:
    return lambda payload: base64.b64encode(private.sign(payload, padding.PKCS1v15(), SHA256())).decode()


def pem(private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Desk:
    """An access shard with a gate in front and a vault that is a dictionary."""

    def __init__(self, profile_name: str = "classic") -> None:
        self.shard = AccessShard()
        self.state = self.shard.state
        self.policy = profile(profile_name)
        self.ledger = IpLedger(self.policy)
        self.vault: dict[str, bytes] = {}
        self.gate = Gate(self.state, self.ledger, lambda key: self.vault.get(key.vault_id))
        self.events: list[tuple[object, ...]] = []
        self.now_us = NOW_US

    def do(self, command: object) -> tuple[object, ...]:
        outcome = self.shard.execute(command, self.now_us)
        assert not isinstance(outcome, Refusal), outcome
        if outcome:
            self.events.append(tuple(outcome))
        return tuple(outcome)

    def refused(self, command: object) -> Refusal:
        before = self.shard.dump()
        outcome = self.shard.execute(command, self.now_us)
        assert isinstance(outcome, Refusal), outcome
        assert self.shard.dump() == before
        return outcome

    def account(self, name: str = "ada", *, kyc: str = "approved", totp: bool = True, futures: bool = True) -> int:
        account_id = self.state.next_account_id
        self.do(CreateAccount(f"digest of {name}", f"password/{name}", kyc, f"totp/{name}" if totp else "", futures))
        return account_id

    def key(
        self,
        account_id: int,
        name: str = "bot",
        *,
        permissions: int = READ_AND_TRADE,
        whitelist: tuple[str, ...] = (),
        key_type: str = "hmac",
        public_key: str = "",
    ) -> Key:
        vault_id = f"secret/{name}" if key_type == "hmac" else ""
        if vault_id:
            self.vault[vault_id] = secret_from(entropy(f"secret of {name}")).encode()
        self.do(
            CreateKey(
                account_id,
                api_key_from(entropy(name)),
                key_type,
                name,
                permissions,
                whitelist,
                vault_id,
                public_key,
                loopback_allowed=True,
            )
        )
        return self.state.keys[self.state.next_key_id - 1]

    def sign(self, key: Key) -> Sign:
        return sign_hmac(self.vault[key.vault_id].decode())

    def call(
        self,
        key: Key,
        *,
        ip: str = HOME,
        permission: Permission = Permission.SPOT_AND_MARGIN_TRADING,
        sign: Sign | None = None,
        payload: bytes = PAYLOAD,
        timestamp_us: int | None = None,
        recv_window_us: int = 5_000_000,
    ) -> Admission | Refusal:
        return self.gate.admit(
            ip,
            key.api_key.encode(),
            permission,
            self.now_us if timestamp_us is None else timestamp_us,
            recv_window_us,
            payload,
            (sign or self.sign(key))(payload),
            self.now_us,
            self.now_us + self.state.policy_offset_us,
        )


def reason(outcome: object) -> Reason:
    assert isinstance(outcome, Refusal), outcome
    return outcome.reason
