"""The demo account of a sandbox, and the files that hand it to its user: `bot.env`, two PEM files and `operator.env`.

The files and the account are made in several steps, and a start may be cut off between any two, or find that somebody
deleted a file. So every start compares the two and makes what is missing. What the account holds and no file tells any
more is made anew, because a secret is shown once: keys are replaced, password and authenticator renewed.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sparekey.access.state import AccessState, Key
from sparekey.console.env_files import read_env, write_env
from sparekey.console.key_acts import KEY_LIMIT
from sparekey.console.management import Management
from sparekey.storage.private_files import replace_file
from sparekey.terms.permissions import PERMISSION_NAMES

_log = logging.getLogger(__name__)

EMAIL = "demo@sparekey.example"
FUNDS: Mapping[str, str] = {
    "USDT": "1000000",
    "BTC": "10",
    "ETH": "100",
    "BNB": "500",
    "LTC": "1000",
    "XRP": "100000",
    "ADA": "200000",
}
#: What any other listed asset is funded with.
OTHER_FUNDS = "100000"
WHITELIST = ("127.0.0.0/8", "::1")
KEY_TYPES = ("hmac", "ed25519", "rsa")
_RSA_BITS = 2048
_PRIVATE_TYPES = {"rsa": RSAPrivateKey, "ed25519": Ed25519PrivateKey}
#: What a client's documentation calls the pair of an HMAC key.
_HMAC_NAMES = (("API_KEY", "API_SECRET"), ("BINANCE_API_KEY", "BINANCE_API_SECRET"))
_OWN_NAMES = ("CONSOLE_EMAIL", "CONSOLE_PASSWORD", "CONSOLE_TOTP_SECRET")


class DemoFiles(NamedTuple):
    """`bot` lies in the data directory; `bot_copy` is where the user wants it, often the same."""

    bot: Path
    bot_copy: Path
    operator: Path
    pems: Mapping[str, Path]


def read_operator_token(files: DemoFiles) -> str:
    """The token of an earlier start, or a new one."""
    return read_env(files.operator).get("OPERATOR_TOKEN", "") or secrets.token_urlsafe(32)


def write_operator(files: DemoFiles, url: str, token: str, more: Mapping[str, str] | None = None) -> None:
    write_env(files.operator, {"CONSOLE_URL": url, **(more or {}), "OPERATOR_TOKEN": token})


async def prepare_demo(
    management: Management, access: AccessState, assets: list[str], files: DemoFiles, url: str, token: str
) -> list[str]:
    """Account, keys and files as the next paragraph of the caller promises them; returns lines for the operator."""
    notes: list[str] = []
    saved = read_env(files.bot) or read_env(files.bot_copy)
    known = read_env(files.operator)
    account_id = management.account_id_of(EMAIL)
    if account_id is None:
        # Files of another venue must not pass for this one's, should this start be cut off.
        write_operator(files, url, token, dict.fromkeys(_OWN_NAMES, ""))
        funds = {asset: FUNDS.get(asset, OTHER_FUNDS) for asset in assets}
        created = await management.create_account(EMAIL, kyc="approved", totp=True, fund=funds)
        account_id = created["accountId"]
        known = _own_values(created["password"], created["totpSecret"])
    elif any(not known.get(name) for name in _OWN_NAMES):
        renewed = await management.renew_credentials(EMAIL)
        known = _own_values(renewed["password"], renewed["totpSecret"])
        notes.append(f"{files.operator} was missing: the demo account has a new password and authenticator.")
    write_operator(files, url, token, {name: known[name] for name in _OWN_NAMES})
    values = {"BASE_URL": url, "WS_URL": "ws" + url.removeprefix("http")}
    for key_type in KEY_TYPES:
        values |= await _key_values(management, access, account_id, key_type, saved, files, notes)
    for path in dict.fromkeys((files.bot, files.bot_copy)):
        write_env(path, values)
    return notes


def _own_values(password: str, totp_secret: str) -> dict[str, str]:
    return dict(zip(_OWN_NAMES, (EMAIL, password, totp_secret), strict=True))


async def _key_values(
    management: Management,
    access: AccessState,
    account_id: int,
    key_type: str,
    saved: Mapping[str, str],
    files: DemoFiles,
    notes: list[str],
) -> dict[str, str]:
    """The lines of one key: of the saved one if it lives, else of a new one."""
    label = f"demo {key_type}"
    name, path, public_pem = key_type.upper(), files.pems.get(key_type, files.bot), ""
    held = [key for key in access.keys_of(account_id) if key.key_type == key_type]
    if key_type == "hmac":
        for key_name, secret_name in _HMAC_NAMES:
            if saved.get(secret_name) and any(key.api_key == saved.get(key_name) for key in held):
                return _hmac_values(saved[key_name], saved[secret_name])
    else:
        public_pem, spki = _pair_in(path, key_type)
        for key in held:
            if key.public_key == spki:
                return {f"{name}_API_KEY": key.api_key, f"{name}_KEY_PEM": str(path)}
    if any(key.label == label for key in held):
        notes.append(
            f"The files of the key {label!r} were missing: a new key takes its place in them; the old one lives."
        )
    await _make_room(management, access, account_id, label)
    created = await management.create_key(
        EMAIL,
        label=label,
        key_type=key_type,
        public_key=public_pem,
        permissions=list(PERMISSION_NAMES),
        ips=WHITELIST,
    )
    if key_type == "hmac":
        return _hmac_values(created["apiKey"], created["secretKey"])
    return {f"{name}_API_KEY": created["apiKey"], f"{name}_KEY_PEM": str(path)}


def _hmac_values(api_key: str, secret: str) -> dict[str, str]:
    return {name: value for pair in _HMAC_NAMES for name, value in zip(pair, (api_key, secret), strict=True)}


async def _make_room(management: Management, access: AccessState, account_id: int, label: str) -> None:
    """Deleting the files again and again must not use up the account's keys: the oldest of that label goes."""
    own: list[Key] = [key for key in access.keys_of(account_id) if key.label == label and key.has_place]
    if access.accounts[account_id].keys_held >= KEY_LIMIT and own:
        await management.delete_key(own[0].api_key)


def _pair_in(path: Path, key_type: str) -> tuple[str, str]:
    """Public PEM and canonical base64 SPKI of the private key in `path`, which is made if it is missing."""
    private: object = None
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):
        pass
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey) or not isinstance(private, _PRIVATE_TYPES[key_type]):
        private = Ed25519PrivateKey.generate() if key_type == "ed25519" else generate_private_key(65_537, _RSA_BITS)
        replace_file(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key()
    return (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode(),
    )
