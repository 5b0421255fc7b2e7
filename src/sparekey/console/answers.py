"""What the management API answers: a form of each document. Field names are a contract that scripts rely on.

Times ending in `Ms` and `Time` are milliseconds UTC, those ending in `Us` microseconds. An answer that does not fit its
form is our fault and becomes a 500, so that the OpenAPI document cannot promise what is not so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

KycState = Literal["none", "pending", "approved", "rejected"]
KeyType = Literal["hmac", "rsa", "ed25519"]
KeyStatus = Literal["active", "disabled", "expired", "deleted"]
PermissionName = Literal[
    "reading",
    "spot-and-margin-trading",
    "margin-loan",
    "futures",
    "withdrawals",
    "internal-transfer",
    "universal-transfer",
]
AccountId = Annotated[int, Field(examples=[100_000_001])]
Email = Annotated[str, Field(examples=["ann@example.com"])]
ApiKey = Annotated[str, Field(examples=["U" * 64])]
Ms = Annotated[int, Field(examples=[1_700_000_000_000])]
Us = Annotated[int, Field(examples=[1_700_000_000_000_000])]
Amount = Annotated[str, Field(examples=["1000.00000000"])]


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Failure(Answer):
    """`reason` is permanent and for programs, `message` for people, `page` explains the reason."""

    reason: Annotated[str, Field(examples=["account-unknown"])]
    message: Annotated[str, Field(examples=["There is no such account. Check the e-mail address."])]
    page: Annotated[str | None, Field(examples=["/reasons/account-unknown"])] = None


class Refused(Answer):
    error: Failure


class NewAccountShown(Answer):
    """`password` and `totpSecret` stand in this answer and never in another."""

    accountId: AccountId
    email: Email
    password: str
    totpSecret: str | None
    kyc: KycState


class AccountShown(Answer):
    """`factors` are the second factors that are on; `keys` counts the keys that take one of the account's places."""

    accountId: AccountId
    email: Email
    kyc: KycState
    factors: list[str]
    keys: int
    apiAccess: Literal["ACTIVE", "SUSPENDED"]


class Funded(Answer):
    """`free`: what is free now of the assets that were funded."""

    accountId: AccountId
    free: dict[str, Amount]


class TotpShown(Answer):
    """`totpSecret` stands in this answer and never in another."""

    accountId: AccountId
    email: Email
    totpSecret: str


class Disabled(Answer):
    """The keys that were active until now."""

    accountId: AccountId
    disabled: list[ApiKey]


class BrokerShown(Answer):
    accountId: AccountId
    email: Email
    broker: bool


class Erased(Answer):
    accountId: AccountId
    erased: Literal[True]


class ChallengeShown(Answer):
    """Sign `text`, to the byte, with the private half of the public key; send `nonce` and signature with the key."""

    nonce: str
    text: str
    expiresMs: Ms


class KeyShown(Answer):
    """`secretKey` is there once, in the answer to the creation or rotation of an HMAC key. `expiryTime` is when the
    key dies, whatever the cause; none: never."""

    apiKey: ApiKey
    secretKey: str | None
    label: str
    type: KeyType
    permissions: list[PermissionName]
    ips: Annotated[list[str], Field(examples=[["203.0.113.7/32"]])]
    createTime: Ms
    expiryTime: Ms | None
    status: KeyStatus


class Caller(Answer):
    """`lastHourMs` is the start of the hour of the last call."""

    ip: Annotated[str, Field(examples=["203.0.113.7"])]
    calls: int
    refused: int
    lastHourMs: Ms


class UsageShown(Answer):
    """Who called a key in the days that the log keeps, and what a rotation has set."""

    apiKey: ApiKey
    status: KeyStatus
    replaces: ApiKey | None
    replacedBy: ApiKey | None
    endsMs: Ms | None
    callers: list[Caller]


class Fenced(Answer):
    """From this record of the shard on it refuses what the key was admitted for before."""

    shard: str
    seq: int
    us: Us


class ReceiptShown(Answer):
    """When everything stopped honouring a key that was narrowed or stopped, or an address that was banned."""

    apiKey: ApiKey | None
    ip: str | None
    cause: str
    accessSeq: int | None
    accessUs: Us
    shards: list[Fenced]
    streamsClosed: int
    closedUs: Us | None
    lastHonouredUs: Us | None


class BanShown(Answer):
    """`untilMs` is policy time; `level` 1 is the shortest."""

    ip: Annotated[str, Field(examples=["203.0.113.7"])]
    untilMs: Ms
    level: int


class Lifted(Answer):
    ip: str
    lifted: Literal[True]


class ClockShown(Answer):
    """Policy time runs bans and expiry, wire time is what timestamps are held against."""

    policyMs: Ms
    wireMs: Ms


class CallShown(Answer):
    """`code` and `reason` are 0 and empty for a call that was served."""

    timeMs: Ms
    apiKey: str
    ip: str
    method: str
    path: str
    weight: int
    http: int
    code: int
    reason: str
    latencyUs: int


# --- what account holders are told -----------------------------------------------------------------------------------

FactorName = Literal["totp", "sms", "passkey", "recovery"]


class Done(Answer):
    done: Literal[True] = True


class SessionOpened(Answer):
    """A `half` session can do nothing but prove one of `factors`. The token stands in this answer alone; `device`
    spares a later sign-in from here the notice of a new device."""

    token: str
    stage: Literal["half", "full"]
    factors: list[FactorName]
    expiresMs: Ms
    device: str


class SessionShown(Answer):
    """`handle` names a session and opens nothing. Times are policy time."""

    handle: str
    current: bool
    ip: str
    agent: str
    createdMs: Ms
    seenMs: Ms
    expiresMs: Ms


class Renewed(Answer):
    """The session goes on under this token; the one before is good for nothing any more."""

    token: str


class PasskeyShown(Answer):
    credentialId: str
    label: str


class MeShown(Answer):
    """`sms` is the number, as much of it as its owner needs to know it; `recoveryCodes` counts those not used yet."""

    accountId: AccountId
    email: Email
    kyc: KycState
    kycCause: str
    factors: list[FactorName]
    sms: str | None
    passkeys: list[PasskeyShown]
    recoveryCodes: int
    keys: int
    apiAccess: Literal["ACTIVE", "SUSPENDED"]


class TotpOffered(Answer):
    """To be put into an authenticator, and confirmed with a code of it within ten minutes. `address` is for a QR
    code."""

    secret: str
    address: str


class PasskeyOptions(Answer):
    """For `navigator.credentials`, as it wants them."""

    options: dict[str, Any]


class RecoveryCodes(Answer):
    """They stand in this answer and never in another; those of the set before are good for nothing any more."""

    codes: list[str]


class StepUpShown(Answer):
    """What has to be proven: a code by e-mail if `needsEmail`, and one of `factors`. `action` says it to people."""

    id: str
    action: str
    factors: list[FactorName]
    needsEmail: bool
    proven: bool


class StepUpWanted(Answer):
    """Prove what `stepUp` names, then send the same request again with `X-Step-Up` and its id."""

    error: Failure
    stepUp: StepUpShown | None = None


# --- identity checks -------------------------------------------------------------------------------------------------


class VerificationState(Answer):
    """`cause` is why an application was rejected. `sinceMs` is when the state came to be; none: it never changed."""

    state: KycState
    cause: str
    sinceMs: Ms | None


class ApplicationRefused(Answer):
    """`fields` says what is wrong with which field, all at once."""

    error: Failure
    fields: dict[str, str] = {}


class ApplicationWaiting(Answer):
    accountId: AccountId
    email: Email
    sinceMs: Ms


class ApplicationShown(Answer):
    """What an account holder handed in. All of it is none where the sealed application cannot be opened."""

    accountId: AccountId
    email: Email
    application: str
    state: KycState
    submittedMs: Ms | None
    surname: str | None
    givenNames: str | None
    birthDate: str | None
    country: str | None
    documentType: str | None
    number: str | None
    expires: str | None


# --- the operator's overview -----------------------------------------------------------------------------------------


class AccountRow(Answer):
    """`masterId` is 0 but for a sub-account."""

    accountId: AccountId
    email: Email
    kyc: KycState
    factors: list[FactorName]
    keys: int
    apiAccess: Literal["ACTIVE", "SUSPENDED"]
    masterId: int


class AccountRows(Answer):
    """The newest first. `before` asks for the next page; 0: there is none."""

    accounts: list[AccountRow]
    before: int


class KeyRow(Answer):
    apiKey: ApiKey
    accountId: AccountId
    email: Email
    label: str
    type: KeyType
    permissions: list[PermissionName]
    ips: list[str]
    createTime: Ms
    expiryTime: Ms | None
    status: KeyStatus


class KeyRows(Answer):
    """The newest first. `before` asks for the next page; 0: there is none."""

    keys: list[KeyRow]
    before: int


class LimitShown(Answer):
    """`counts` says what each has its own count of."""

    family: str
    limiter: str
    limit: int
    window: str
    counts: str


class UsedShown(Answer):
    """`subject` is an address, or an account's number."""

    family: str
    limiter: str
    endpoint: str
    subject: str
    used: int
    limit: int
    window: str


class OrdersCounted(Answer):
    accountId: AccountId
    window: str
    used: int
    limit: int


class LimitsShown(Answer):
    """`used` and `orders` hold whoever used most of what they may, in the windows that run."""

    profile: str
    enforced: bool
    limits: list[LimitShown]
    used: list[UsedShown]
    orders: list[OrdersCounted]


class LetterRow(Answer):
    number: int
    kind: Literal["email", "sms"]
    to: str
    subject: str
    state: str
    attempts: int
    problem: str
    postedMs: Ms


class LetterShown(LetterRow):
    """`text` and `html` are none where the letter is not to be read here: it has another way to its reader."""

    text: str | None
    html: str | None


# --- what an account holds and did -----------------------------------------------------------------------------------


class HoldingShown(Answer):
    """`worth` is in USDT, by this venue's last prices; none where no price leads there."""

    asset: str
    free: Amount
    locked: Amount
    worth: Amount | None


class OrderShown(Answer):
    """`apiKey` is the key that placed it; none for an order of nobody's key. `price` is 0 where the order has none."""

    symbol: str
    orderId: int
    clientOrderId: str
    side: Literal["BUY", "SELL"]
    type: str
    status: str
    price: Amount
    stopPrice: Amount
    quantity: Amount
    executed: Amount
    createdMs: Ms
    apiKey: ApiKey | None


class FillShown(Answer):
    symbol: str
    tradeId: int
    orderId: int
    side: Literal["BUY", "SELL"]
    price: Amount
    quantity: Amount
    quoteQuantity: Amount
    fee: Amount
    feeAsset: str
    maker: bool
    timeMs: Ms
    apiKey: ApiKey | None
