"""Signatures: Binance's own vectors, one spelling each, and an algorithm that the stored key picks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from hypothesis import given
from hypothesis import strategies as st

from sparekey.access.commands import DeleteKey, DisableKey
from sparekey.access.signatures import Ed25519Verifier, RsaVerifier, Verifiers, decode_base64, hmac_block, verify_hmac
from sparekey.terms.admissions import Admission
from sparekey.terms.reasons import Reason
from tests.unit.access.venue_of_keys import PAYLOAD, Desk, pem, reason, sign_ed25519, sign_rsa

# Binance spot REST, "SIGNED endpoint examples": the documented sample secret and what it gives.
SAMPLE_SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SAMPLES = {
    b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559": (
        "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    ),
    b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTCquantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559": (
        "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    ),
    b"symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT&timeInForce=GTC"
    b"&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559": (
        "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"
    ),
}

RSA_2048 = rsa.generate_private_key(65_537, 2_048)
RSA_4096 = rsa.generate_private_key(65_537, 4_096)
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
#: The order of Ed25519's large group (RFC 8032, section 5.1).
ORDER = 2**252 + 27742317777372353535851937790883648493


def rsa_der(private: rsa.RSAPrivateKey) -> bytes:
    return base64.b64decode("".join(pem(private).splitlines()[1:-1]))


@pytest.mark.parametrize(("payload", "signature"), SAMPLES.items())
def test_binances_sample_signatures_verify_in_either_case(payload: bytes, signature: str) -> None:
    block = hmac_block(SAMPLE_SECRET)
    assert verify_hmac(block, payload, signature) is None
    assert verify_hmac(block, payload, signature.upper()) is None
    assert verify_hmac(block, payload, signature[:32] + signature[32:].upper()) is None
    assert reason(verify_hmac(block, payload + b"&", signature)) is Reason.SIGNATURE_INVALID


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=300))
def test_our_hmac_is_the_standard_librarys_for_secrets_of_any_length(secret: bytes, payload: bytes) -> None:
    signature = hmac.new(secret, payload, "sha256").hexdigest()
    assert verify_hmac(hmac_block(secret), payload, signature) is None
    other = hmac.new(secret + b"x", payload, "sha256").hexdigest()
    assert reason(verify_hmac(hmac_block(secret), payload, other)) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0" * 63,
        "0" * 65,
        "g" * 64,
        "0x" + "0" * 62,
        " " + "0" * 63,
        "0" * 63 + "\n",
        "0" * 64 + "\n",
        "０" * 64,
        "\u212a" * 64,
        "\ud800" * 64,
        base64.b64encode(bytes(32)).decode(),
    ],
)
def test_what_is_not_sixty_four_hex_digits_has_the_wrong_form_for_hmac(signature: str) -> None:
    assert reason(verify_hmac(hmac_block(SAMPLE_SECRET), PAYLOAD, signature)) is Reason.SIGNATURE_WRONG_TYPE


def test_a_full_width_spelling_of_the_right_signature_is_not_it() -> None:
    payload, signature = next(iter(SAMPLES.items()))
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in signature)
    assert reason(verify_hmac(hmac_block(SAMPLE_SECRET), payload, wide)) is Reason.SIGNATURE_WRONG_TYPE


@pytest.mark.parametrize("private", [RSA_2048, RSA_4096], ids=["2048", "4096"])
def test_an_rsa_signature_is_pkcs1_with_sha256_and_nothing_else(private: rsa.RSAPrivateKey) -> None:
    verifier = RsaVerifier(rsa_der(private))
    assert verifier.verify(PAYLOAD, sign_rsa(private)(PAYLOAD)) is None
    pss = private.sign(PAYLOAD, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    longer_hash = private.sign(PAYLOAD, padding.PKCS1v15(), SHA384())
    for raw in (pss, longer_hash, bytes(len(pss))):
        assert reason(verifier.verify(PAYLOAD, base64.b64encode(raw).decode())) is Reason.SIGNATURE_INVALID
    right = private.sign(PAYLOAD, padding.PKCS1v15(), SHA256())
    for raw in (right[1:], b"\0" + right, right + b"\0", b""):
        assert reason(verifier.verify(PAYLOAD, base64.b64encode(raw).decode())) is Reason.SIGNATURE_WRONG_TYPE


def test_an_rsa_signature_beyond_the_modulus_is_not_another_spelling() -> None:
    verifier = RsaVerifier(rsa_der(RSA_2048))
    modulus = RSA_2048.public_key().public_numbers().n
    for number in range(10_000):  # until one fits into as many bytes with the modulus added
        payload = b"%d" % number
        beyond = int.from_bytes(RSA_2048.sign(payload, padding.PKCS1v15(), SHA256()), "big") + modulus
        if beyond.bit_length() <= 2_048:
            break
    text = base64.b64encode(beyond.to_bytes(256, "big")).decode()
    assert reason(verifier.verify(payload, text)) is Reason.SIGNATURE_INVALID


def test_an_ed25519_signature_has_one_spelling() -> None:
    verifier = Ed25519Verifier(ED25519.public_key().public_bytes_raw())
    raw = ED25519.sign(PAYLOAD)
    assert verifier.verify(PAYLOAD, base64.b64encode(raw).decode()) is None
    scalar = int.from_bytes(raw[32:], "little")
    malleable = raw[:32] + (scalar + ORDER).to_bytes(32, "little")
    assert reason(verifier.verify(PAYLOAD, base64.b64encode(malleable).decode())) is Reason.SIGNATURE_INVALID
    for wrong in (raw[:63], raw + b"\0", b""):
        assert reason(verifier.verify(PAYLOAD, base64.b64encode(wrong).decode())) is Reason.SIGNATURE_WRONG_TYPE


def test_base64_has_one_spelling_of_each_value() -> None:
    raw = bytes(range(64))
    text = base64.b64encode(raw).decode()
    assert decode_base64(text) == raw
    last = text.rstrip("=")[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stray = alphabet[alphabet.index(last) ^ 1]  # a bit that no byte uses
    for other in (
        text.rstrip("="),
        text + "=",
        text + "\n",
        "\n" + text,
        text[:10] + "\n" + text[10:],
        text[:10] + " " + text[10:],
        text.replace("+", "-").replace("/", "_") if "+" in text or "/" in text else text[:-1],
        text.rstrip("=")[:-1] + stray + "==",
        "é" + text[1:],
        "=" * 4,
    ):
        assert decode_base64(other) is None, other


@given(st.binary(max_size=80))
def test_base64_gives_back_what_was_encoded(raw: bytes) -> None:
    assert decode_base64(base64.b64encode(raw).decode()) == raw


@given(st.text(alphabet=st.sampled_from("ABab01+/=-_ \né"), max_size=12))
def test_no_two_texts_decode_to_the_same_bytes(text: str) -> None:
    raw = decode_base64(text)
    assert raw is None or base64.b64encode(raw).decode() == text


# --- the key decides -------------------------------------------------------------------------------------------------


def test_each_key_takes_its_own_algorithm_and_tells_the_form_it_needs() -> None:
    desk = Desk()
    account_id = desk.account()
    keys = {
        "HMAC": desk.key(account_id, "hmac"),
        "RSA": desk.key(account_id, "rsa", key_type="rsa", public_key=pem(RSA_2048)),
        "Ed25519": desk.key(account_id, "ed25519", key_type="ed25519", public_key=pem(ED25519)),
    }
    signs = {"HMAC": desk.sign(keys["HMAC"]), "RSA": sign_rsa(RSA_2048), "Ed25519": sign_ed25519(ED25519)}
    for of_key, key in keys.items():
        for by, sign in signs.items():
            outcome = desk.call(key, sign=sign)
            if of_key == by:
                assert isinstance(outcome, Admission)
            else:
                assert reason(outcome) is Reason.SIGNATURE_WRONG_TYPE
                assert outcome.facts == (of_key,)  # type: ignore[union-attr]


@pytest.mark.parametrize("private", [RSA_2048, ED25519], ids=["rsa", "ed25519"])
def test_an_hmac_with_the_public_key_as_its_secret_opens_nothing(
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    """The attacker knows the public key, so it must never serve as a secret."""
    desk = Desk()
    kind = "rsa" if isinstance(private, rsa.RSAPrivateKey) else "ed25519"
    key = desk.key(desk.account(), key_type=kind, public_key=pem(private))
    text = pem(private)
    spki = base64.b64decode(key.public_key)
    for secret in (text, text.strip(), key.public_key, key.api_key):
        digest = hmac.digest(secret.encode(), PAYLOAD, "sha256")
        for signature in (digest.hex(), base64.b64encode(digest).decode()):
            assert reason(desk.call(key, sign=lambda _, s=signature: s)) is Reason.SIGNATURE_WRONG_TYPE  # type: ignore[misc]
    for raw in (spki, spki[-32:]):
        digest = hmac.digest(raw, PAYLOAD, "sha256")
        padded = base64.b64encode(digest.ljust(64, b"\0")).decode()
        assert reason(desk.call(key, sign=lambda _, s=padded: s)) in (  # type: ignore[misc]
            Reason.SIGNATURE_INVALID,
            Reason.SIGNATURE_WRONG_TYPE,
        )


@pytest.mark.parametrize("signature", ["", "none", "null", "0", "=" * 88, "A" * 88, "A" * 344])
def test_no_key_takes_an_empty_or_made_up_signature(signature: str) -> None:
    desk = Desk()
    account_id = desk.account()
    for key in (
        desk.key(account_id, "hmac"),
        desk.key(account_id, "rsa", key_type="rsa", public_key=pem(RSA_2048)),
        desk.key(account_id, "ed25519", key_type="ed25519", public_key=pem(ED25519)),
    ):
        assert reason(desk.call(key, sign=lambda _: signature)) in (
            Reason.SIGNATURE_INVALID,
            Reason.SIGNATURE_WRONG_TYPE,
        )


def test_only_the_newest_parsed_public_keys_are_kept_and_others_come_back_with_the_next_call() -> None:
    desk = Desk()
    account_id = desk.account()
    keys = [
        desk.key(account_id, f"bot {n}", key_type="ed25519", public_key=pem(ed25519.Ed25519PrivateKey.generate()))
        for n in range(5)
    ]
    verifiers = Verifiers(kept=3)
    for key in keys:
        assert verifiers.prepare(key) is key.verifier
    assert [key.verifier is None for key in keys] == [True, True, False, False, False]
    verifiers.prepare(keys[0])
    assert [key.verifier is None for key in keys] == [False, True, True, False, False]


def test_a_secret_is_opened_once() -> None:
    desk = Desk()
    key = desk.key(desk.account())
    sign = desk.sign(key)
    assert isinstance(desk.call(key), Admission)
    desk.vault.clear()
    assert isinstance(desk.call(key, sign=sign), Admission)
    assert reason(desk.call(key, sign=lambda _: "0" * 64)) is Reason.SIGNATURE_INVALID


def test_a_key_that_is_printed_by_mistake_shows_nothing_of_its_opened_secret() -> None:
    desk = Desk()
    key = desk.key(desk.account())
    assert isinstance(desk.call(key), Admission)
    for shown in (repr(key), str(key), f"{key}"):
        assert repr(key.hmac_block)[2:20] not in shown
        assert desk.vault[key.vault_id].decode() not in shown
        assert "block" not in shown


@pytest.mark.parametrize("ending", [DeleteKey, DisableKey])
def test_a_key_that_cannot_be_called_any_more_leaves_no_secret_in_memory(ending: Any) -> None:
    desk = Desk()
    key = desk.key(desk.account())
    assert isinstance(desk.call(key), Admission)
    assert key.hmac_block
    desk.do(ending(key.key_id))
    assert not key.hmac_block


def test_a_key_that_cannot_be_called_any_more_keeps_no_parsed_public_key() -> None:
    desk = Desk()
    key = desk.key(desk.account(), key_type="ed25519", public_key=pem(ED25519))
    assert isinstance(desk.call(key, sign=sign_ed25519(ED25519)), Admission)
    assert key.verifier is not None
    desk.do(DeleteKey(key.key_id))
    assert key.verifier is None


def test_a_public_key_is_another_accounts_to_have_once_the_last_key_with_it_is_deleted() -> None:
    desk = Desk()
    ada, ben = desk.account(), desk.account("ben")
    keys = [desk.key(ada, name, key_type="ed25519", public_key=pem(ED25519)) for name in ("one", "two")]
    for key in keys:
        with pytest.raises(AssertionError, match="another account"):
            desk.key(ben, "bens", key_type="ed25519", public_key=pem(ED25519))
        desk.do(DeleteKey(key.key_id))
    assert desk.state.keys_by_spki == {}
    bens = desk.key(ben, "bens", key_type="ed25519", public_key=pem(ED25519))
    assert isinstance(desk.call(bens, sign=sign_ed25519(ED25519)), Admission)


def test_a_snapshot_of_before_holds_public_keys_as_text_and_its_keys_verify() -> None:
    """Rows as older versions wrote them: fewer fields, the public key in base64."""
    desk = Desk()
    key = desk.key(desk.account(), key_type="ed25519", public_key=pem(ED25519))
    dump = desk.shard.dump()
    assert dump[6][0][10] == base64.b64encode(key.spki).decode()
    for row in dump[6]:
        del row[11:]
    loaded = Desk()
    loaded.shard.load(dump)
    again = loaded.state.keys[key.key_id]
    assert (again.spki, again.header, again.status) == (key.spki, key.header, "active")
    assert isinstance(loaded.call(again, sign=sign_ed25519(ED25519)), Admission)


def test_an_empty_secret_is_no_secret() -> None:
    desk = Desk()
    key = desk.key(desk.account())
    desk.vault[key.vault_id] = b""
    signature = hmac.new(b"", PAYLOAD, hashlib.sha256).hexdigest()
    assert reason(desk.call(key, sign=lambda _: signature)) is Reason.SECRET_UNAVAILABLE


@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 200])
def test_a_secret_of_any_length_signs_as_the_standard_says(length: int) -> None:
    """Longer than a block of SHA-256, it is hashed first (RFC 2104, section 2)."""
    secret = bytes(range(1, length + 1))
    signature = hmac.new(secret, PAYLOAD, "sha256").hexdigest()
    assert verify_hmac(hmac_block(secret), PAYLOAD, signature) is None


def test_an_rsa_key_whose_bits_fill_no_whole_bytes_verifies() -> None:
    """2,049 bits, which no tool makes by itself: of the primes of two keys."""
    p = rsa.generate_private_key(65_537, 2_050).private_numbers().p
    q = RSA_2048.private_numbers().q
    d = pow(65_537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65_537, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    private = numbers.private_key()
    assert private.key_size == 2_049
    verifier = RsaVerifier(rsa_der(private))
    assert verifier.verify(PAYLOAD, sign_rsa(private)(PAYLOAD)) is None


def test_the_stored_key_must_be_of_the_type_that_it_is_stored_as() -> None:
    with pytest.raises(TypeError):
        RsaVerifier(base64.b64decode("".join(pem(ED25519).splitlines()[1:-1])))


def test_the_cost_of_a_verification_is_about_what_it_takes() -> None:
    """Microseconds. The budget of an address is counted in them, so an order of magnitude would matter."""
    assert 25 <= RsaVerifier(rsa_der(RSA_2048)).cost_us <= 100
    assert 50 <= RsaVerifier(rsa_der(RSA_4096)).cost_us <= 300
    assert Ed25519Verifier.cost_us == 100
