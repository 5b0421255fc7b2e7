"""A public key is registered by whoever has its private half, and a proof is good once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sparekey.access.possession import LIFETIME_US, OPEN_MOST, Challenge, Challenges
from sparekey.terms.reasons import Reason
from tests.unit.access.venue_of_keys import NOW_US, Sign, pem, reason, sign_ed25519, sign_rsa

RSA = generate_private_key(65_537, 2_048)
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ADA, EVE = 100_000_001, 100_000_002


def nonce(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def opened(challenges: Challenges, public_key: str, number: int = 0, account_id: int = ADA) -> Challenge:
    challenge = challenges.open(account_id, public_key, nonce(number), NOW_US)
    assert isinstance(challenge, Challenge)
    return challenge


@pytest.mark.parametrize(
    ("public_key", "sign"),
    [(pem(RSA), sign_rsa(RSA)), (pem(ED25519), sign_ed25519(ED25519))],
    ids=["rsa", "ed25519"],
)
def test_the_holder_of_the_private_key_proves_it_once(public_key: str, sign: Sign) -> None:
    challenges = Challenges()
    challenge = opened(challenges, public_key)
    signature = sign(challenge.text.encode())
    assert challenges.redeem(ADA, challenge.nonce, public_key, f" {signature}\n", NOW_US + LIFETIME_US - 1) is None
    again = challenges.redeem(ADA, challenge.nonce, public_key, signature, NOW_US)
    assert reason(again) is Reason.POSSESSION_UNPROVEN


def test_what_is_signed_names_account_type_key_and_nonce() -> None:
    text = opened(Challenges(), pem(ED25519)).text
    spki = "".join(pem(ED25519).splitlines()[1:-1])
    assert text == (
        "sparekey proof of possession\n"
        f"account {ADA}\n"
        f"key ed25519 sha256 {hashlib.sha256(spki.encode()).hexdigest()}\n"
        f"nonce {nonce(0).hex()}\n"
    )
    assert "=" not in text  # so that it is no signed call, which has parameters


WRONG: dict[str, Callable[[Challenge], tuple[int, str, str, str, int]]] = {
    "another private key": lambda one: (ADA, one.nonce, pem(ED25519), sign_ed25519(OTHER)(one.text.encode()), NOW_US),
    "another text": lambda one: (ADA, one.nonce, pem(ED25519), sign_ed25519(ED25519)(b"x"), NOW_US),
    "another nonce": lambda one: (
        ADA,
        nonce(9).hex(),
        pem(ED25519),
        sign_ed25519(ED25519)(one.text.encode()),
        NOW_US,
    ),
    "another account": lambda one: (EVE, one.nonce, pem(ED25519), sign_ed25519(ED25519)(one.text.encode()), NOW_US),
    "another public key": lambda one: (ADA, one.nonce, pem(OTHER), sign_ed25519(OTHER)(one.text.encode()), NOW_US),
    "too late": lambda one: (
        ADA,
        one.nonce,
        pem(ED25519),
        sign_ed25519(ED25519)(one.text.encode()),
        NOW_US + LIFETIME_US,
    ),
    "no signature": lambda one: (ADA, one.nonce, pem(ED25519), "", NOW_US),
    "no base64": lambda one: (ADA, one.nonce, pem(ED25519), "é" * 88, NOW_US),
    "a novel": lambda one: (ADA, one.nonce, pem(ED25519), "A" * 1_000_000, NOW_US),
    "an RSA signature": lambda one: (ADA, one.nonce, pem(ED25519), sign_rsa(RSA)(one.text.encode()), NOW_US),
}


@pytest.mark.parametrize("what", WRONG)
def test_anything_else_proves_nothing(what: str) -> None:
    challenges = Challenges()
    challenge = opened(challenges, pem(ED25519))
    refusal = challenges.redeem(*WRONG[what](challenge))
    assert reason(refusal) is Reason.POSSESSION_UNPROVEN


def test_a_wrong_signature_spends_the_challenge() -> None:
    challenges = Challenges()
    challenge = opened(challenges, pem(ED25519))
    wrong = base64.b64encode(bytes(64)).decode()
    assert reason(challenges.redeem(ADA, challenge.nonce, pem(ED25519), wrong, NOW_US)) is Reason.POSSESSION_UNPROVEN
    right = sign_ed25519(ED25519)(challenge.text.encode())
    assert reason(challenges.redeem(ADA, challenge.nonce, pem(ED25519), right, NOW_US)) is Reason.POSSESSION_UNPROVEN


def test_a_stranger_cannot_spend_somebody_elses_challenge() -> None:
    challenges = Challenges()
    challenge = opened(challenges, pem(ED25519))
    assert challenges.redeem(EVE, challenge.nonce, pem(ED25519), "", NOW_US) is not None
    right = sign_ed25519(ED25519)(challenge.text.encode())
    assert challenges.redeem(ADA, challenge.nonce, pem(ED25519), right, NOW_US) is None


def test_an_account_holds_a_few_challenges_and_the_oldest_gives_way() -> None:
    challenges = Challenges()
    made = [opened(challenges, pem(ED25519), number) for number in range(OPEN_MOST + 1)]
    sign = sign_ed25519(ED25519)

    def redeemed(challenge: Challenge) -> bool:
        return challenges.redeem(ADA, challenge.nonce, pem(ED25519), sign(challenge.text.encode()), NOW_US) is None

    assert [redeemed(challenge) for challenge in made] == [False] + [True] * OPEN_MOST


def test_a_private_key_or_a_weak_one_gets_no_challenge() -> None:
    private = ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert reason(Challenges().open(ADA, private, nonce(0), NOW_US)) is Reason.PRIVATE_KEY_PASTED
    weak = pem(generate_private_key(65_537, 1_024))
    assert reason(Challenges().open(ADA, weak, nonce(0), NOW_US)) is Reason.PUBLIC_KEY_INVALID


def test_a_short_nonce_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Challenges().open(ADA, pem(ED25519), bytes(16), NOW_US)
