"""Records the golden journals of this engine version: `python -m tests.make_golden [--again]`.

Sessions are scripted and played through the real sequencer into a journal: accounts and keys, orders of every kind,
cancels, self-trade prevention, a market's ticks, clocks. The same script gives the same file. A released version is
never recorded again: a decision that changes raises `ENGINE_VERSION` and gets files of its own beside the old ones.
Before a release, `--again` replaces what is there.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from sparekey.access.commands import (
    AcceptTotpStep,
    AddPasskey,
    AdvanceClock,
    ChangePassword,
    CloseSubAccount,
    CreateAccount,
    CreateKey,
    CreateSubAccount,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    EndSessions,
    EnrolSms,
    EnrolTotp,
    EraseAccount,
    PanicKeys,
    PassFactorAttempt,
    RecordStrike,
    RemovePasskey,
    RemoveSms,
    RemoveTotp,
    RestoreAccess,
    RotateKey,
    RunDueTimers,
    SetBroker,
    SetKyc,
    SetRecoveryCodes,
    SetSkew,
    StartFactorAttempt,
    SubmitKyc,
    SuspendAccess,
    UsePasskey,
    UseRecoveryCode,
)
from sparekey.access.credentials import api_key_from
from sparekey.access.shard import AccessShard
from sparekey.access.state import Key
from sparekey.assemble import ACCESS, SPOT, load_catalogue, load_policy, make_machines
from sparekey.market.opening import compose_opening
from sparekey.sequencer.ports import ENGINE_VERSION, Record
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.journal import MemoryJournal
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US, HOUR_US, SECOND_US
from sparekey.terms.money import ONE, parse_money
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import (
    AmendOrder,
    CancelOpenOrders,
    CancelOrder,
    CancelOrderList,
    EndReplay,
    Fence,
    Fund,
    ListAsset,
    ListSymbol,
    MarketTick,
    PlaceOrder,
    PlaceOrderList,
    ReplaceOrder,
    ReplayPrints,
    SetOrderLimits,
    TransferFunds,
)
from sparekey.venue.events import MarketPrint
from sparekey.venue.listing import OrderLimit
from sparekey.venue.spot_shard import MOST_BEGUN, SpotShard
from tests import golden
from tests.unit.access.venue_of_keys import entropy

START_US = 1_700_000_000_000_000  # 2023-11-14 22:13:20 UTC

ED25519_PEM = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=
-----END PUBLIC KEY-----
"""
RSA_PEM = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtcNhflwFJq+pe/ajTPTB
d8UGZsYBaJ6CUoTXzJ5leN5Hz3HulbP084ymdZRleMh6iRK3tiE4dBxD2bCUxs1+
+sFh44YAAEVEDdZNHzw1ZqhqX8ASr6Eg6cMaFYF6Ziu8leqDjXfVZ9KKH82cdkbh
SDbQLqd6w5ShbGLJfJYM+aEuarYEetoeY9teH3Vqko3ecYgqA3lREH0d1Tfl92VV
G0c/UvwywuI57gblYQntCqzcgfc9vCu4tcvTNw5eo8FbGjwWAI9tExBGb62sZPHX
kAGp2iL6YziYx+cmT5o2V1Qmj42LEwUEdUfjLLX8c6LXQNGKy4/euXkmuJg3Du4w
xwIDAQAB
-----END PUBLIC KEY-----
"""


class Session:
    """Both shards behind a sequencer, as a server runs them; `now_us` is the host's clock."""

    def __init__(self) -> None:
        machines = make_machines()
        access_shard, spot_shard = machines[ACCESS], machines[SPOT]
        assert isinstance(access_shard, AccessShard)
        assert isinstance(spot_shard, SpotShard)
        self.machines = machines
        self.access_shard = access_shard
        self.access, self.spot = access_shard.state, spot_shard.state
        self.now_us = START_US
        self.journal = MemoryJournal()
        self.refusals = 0
        clocks: dict[str, Callable[[], int]] = {
            ACCESS: lambda: self.now_us + self.access.policy_offset_us,
            SPOT: lambda: self.now_us + self.access.skew_us,
        }
        self.sequencer = Sequencer(
            self.journal, machines, clocks, lambda commit: None, follow={ACCESS: self._fences}, lazy_limit=2**62
        )

    def _fences(self, record: Record) -> Iterable[tuple[str, Any]]:
        narrowed = self.access_shard.narrowed_keys(record.events)
        return [(SPOT, Fence(key_id, self.access.seq)) for key_id in narrowed]

    def do(self, shard: str, command: Any) -> Sequence[Any]:
        outcome = self.sequencer.submit(shard, command)
        if isinstance(outcome, Refusal):
            self.refusals += 1
            return ()
        return outcome

    def must(self, shard: str, command: Any) -> Sequence[Any]:
        outcome = self.sequencer.submit(shard, command)
        assert not isinstance(outcome, Refusal), (command, outcome)
        return outcome

    def commit(self) -> None:
        self.sequencer.commit()

    def golden(self) -> golden.Golden:
        self.commit()
        return golden.Golden(
            ENGINE_VERSION, self.journal.position, golden.digests_of(self.machines), list(self.journal.read())
        )

    # --- shorthand ---------------------------------------------------------------------------------------------------

    def account(self, name: str, **changes: Any) -> int:
        command = CreateAccount(f"digest of {name}", f"password/{name}", "approved", f"totp/{name}", **changes)
        return self.must(ACCESS, command)[0].account_id

    def key(
        self, account_id: int, name: str, kind: str = "hmac", whitelist: tuple[str, ...] = (), permissions: int = 3
    ) -> Key:
        public_key = {"hmac": "", "rsa": RSA_PEM, "ed25519": ED25519_PEM}[kind]
        vault_id = f"hmac-secret/account-{account_id}/{name}" if kind == "hmac" else ""
        api_key = api_key_from(entropy(name))
        self.must(
            ACCESS,
            CreateKey(account_id, api_key, kind, name, permissions, whitelist, vault_id, public_key, True),
        )
        key = self.access.key_by_api_key(api_key)
        assert key is not None
        return key

    def rotate(self, key: Key, name: str, overlap_us: int) -> Key:
        """The replacement of an hmac key."""
        command = RotateKey(
            key.key_id,
            key.account_id,
            api_key_from(entropy(name)),
            f"hmac-secret/account-{key.account_id}/{name}",
            overlap_us=overlap_us,
        )
        self.must(ACCESS, command)
        return self.access.keys[key.replaced_by]

    def admission(self, key: Key) -> Admission:
        return Admission(key.account_id, key.key_id, self.access.seq, key.dies_us)

    def list_everything(self) -> None:
        catalogue, policy = load_catalogue(), load_policy("classic")
        for asset in catalogue.assets:
            self.must(SPOT, ListAsset(asset))
        for symbol in catalogue.symbols:
            self.must(SPOT, ListSymbol(symbol))
        limits = tuple(
            OrderLimit(one.interval, one.interval_count, one.window_us, one.limit, policy.gives_back, policy.enforced)
            for one in policy.families["spot"].orders
        )
        self.must(SPOT, SetOrderLimits(limits))
        self.commit()


def keys_session() -> golden.Golden:
    """Accounts, factors, keys of all types, what narrows them, what expires, and the clocks."""
    session = Session()
    session.list_everything()
    ada, bob = session.account("ada"), session.account("bob", futures_allowed=False)
    carol = session.must(ACCESS, CreateAccount("digest of carol", "password/carol"))[0].account_id
    session.commit()
    for command in (
        SetKyc(carol, "pending"),
        SetKyc(carol, "approved"),
        EnrolTotp(carol, "totp/carol"),
        AcceptTotpStep(carol, 56_666_666),
        AcceptTotpStep(carol, 56_666_667),
        EnrolTotp(carol, "totp/carol-2"),
    ):
        session.must(ACCESS, command)
        session.now_us += SECOND_US
    first = session.key(ada, "first")
    listed = session.key(
        ada, "listed", whitelist=("10.0.0.0/25", "10.0.0.128/25", "::ffff:203.0.113.7"), permissions=127
    )
    ed25519 = session.key(bob, "ed25519", "ed25519")
    rsa = session.key(carol, "rsa", "rsa", whitelist=("2001:db8::/64", "127.0.0.1"))
    session.commit()
    for command in (
        EditKey(first.key_id, label="renamed", permissions=1),
        EditKey(listed.key_id, whitelist=()),
        EditKey(first.key_id, whitelist=("198.51.100.7",)),
        DisableKey(ed25519.key_id),
        SuspendAccess(bob, "three bans in a day"),
        RestoreAccess(bob, "it was us"),
        EnableKey(ed25519.key_id, bob),
        RemoveTotp(carol),
        SetKyc(ada, "rejected"),
        SetKyc(ada, "approved"),
        SetSkew(3 * SECOND_US),
        AdvanceClock(89 * DAY_US),
        SetSkew(0),
    ):
        session.must(ACCESS, command)
        session.now_us += HOUR_US
        session.commit()
    session.must(ACCESS, DeleteKey(rsa.key_id, carol))
    session.key(ada, "late")
    session.now_us += DAY_US
    session.must(ACCESS, RunDueTimers())
    session.must(ACCESS, AdvanceClock(400 * DAY_US))
    rotations(session, ada)
    endings(session, bob, carol)
    return session.golden()


def rotations(session: Session, account_id: int) -> None:
    """With an overlap that ends by itself, at once, of a key without whitelist, and one given up on the way."""
    old = session.key(account_id, "old", whitelist=("203.0.113.0/24",), permissions=19)
    renewed = session.rotate(old, "renewed", 2 * HOUR_US)
    session.now_us += 2 * HOUR_US
    session.must(ACCESS, RunDueTimers())
    session.rotate(renewed, "renewed again", 0)  # which also deletes the first one
    session.commit()
    short = session.key(account_id, "short")
    session.must(ACCESS, AdvanceClock(89 * DAY_US))
    given_up = session.rotate(short, "given up", 30 * DAY_US)
    session.must(ACCESS, DeleteKey(given_up.key_id))
    session.rotate(short, "kept", DAY_US)
    session.must(ACCESS, DisableKey(short.key_id))
    session.must(ACCESS, AdvanceClock(DAY_US))
    session.must(ACCESS, PanicKeys(account_id, "a key was found in a log"))
    session.commit()


def endings(session: Session, struck: int, erased: int) -> None:
    """Strikes up to a suspension, and an erasure after which the address is free again."""
    for _ in range(3):
        session.must(ACCESS, RecordStrike(struck, "an address was banned"))
        session.now_us += HOUR_US
    session.must(ACCESS, RestoreAccess(struck, "it was a loop"))
    session.must(ACCESS, RecordStrike(struck, "an address was banned"))
    session.must(ACCESS, EraseAccount(erased))
    session.must(ACCESS, CreateAccount("digest of carol", "password/carol"))


def factors_session() -> golden.Golden:
    """Every second factor on and off, tries up to their limit, recovery codes, sessions that end, identity checks."""
    session = Session()
    session.list_everything()
    ada, bob = (
        session.account("ada"),
        session.must(ACCESS, CreateAccount("digest of bob", "password/bob"))[0].account_id,
    )
    session.key(ada, "of ada", whitelist=("203.0.113.0/24",))
    for command in (
        SubmitKyc(bob, "kyc/bob"),
        SetKyc(bob, "rejected", "the operator", "the document has expired"),
        SubmitKyc(bob, "kyc/bob again"),
        SetKyc(bob, "approved"),
        EnrolSms(bob, "sms/bob"),
        ChangePassword(bob, "password/bob again"),
        EndSessions(bob),
        AddPasskey(ada, "Y3JlZGVudGlhbA", "cHVibGljIGtleQ", 0, "of her laptop", ("internal", "hybrid")),
        UsePasskey(ada, "Y3JlZGVudGlhbA", 7),
        AddPasskey(ada, "YW5vdGhlcg", "cHVibGljIGtleQ", 0, "synchronised"),
        UsePasskey(ada, "YW5vdGhlcg", 0),
        SetRecoveryCodes(ada, "recovery/ada", 10),
        UseRecoveryCode(ada, 3),
        AcceptTotpStep(ada, START_US // (30 * SECOND_US)),
        RemoveTotp(ada, "passkey"),
        RemovePasskey(ada, "Y3JlZGVudGlhbA", "passkey"),
        RemovePasskey(ada, "YW5vdGhlcg", "recovery"),
        RemoveSms(bob, "sms"),
        EnrolSms(ada, "sms/ada"),
        RemoveSms(ada),
    ):
        session.must(ACCESS, command)
        session.now_us += HOUR_US
        session.commit()
    for account_id in (ada, bob):
        for attempt in range(60):  # of which most are one too many
            session.do(ACCESS, StartFactorAttempt(account_id))
            if attempt % 7 == 0:
                session.do(ACCESS, PassFactorAttempt(account_id))
            session.now_us += 100 * SECOND_US
    session.must(ACCESS, EraseAccount(bob))
    return session.golden()


def sub_accounts_session() -> golden.Golden:
    """A master and a broker with sub-accounts, keys of theirs and a special one, transfers, and how all of it ends."""
    session = Session()
    session.list_everything()
    master, broker = session.account("master"), session.account("broker")
    session.must(ACCESS, SetBroker(broker, True))
    subs = [
        session.must(ACCESS, CreateSubAccount(owner, f"digest of {name}", link, tag))[0].account_id
        for owner, name, link, tag in (
            (master, "one", "virtual", ""),
            (master, "two", "virtual", ""),
            (broker, "customer", "broker", "tag of a customer"),
        )
    ]
    session.commit()
    own = session.key(master, "own", whitelist=("127.0.0.1",))
    key = session.key(subs[0], "of one", whitelist=("127.0.0.1",))
    customer = session.key(subs[2], "of a customer")
    session.must(
        ACCESS,
        CreateKey(master, api_key_from(entropy("special")), "hmac", "fast", 3, (), "hmac-secret/x", special="cross"),
    )
    session.must(SPOT, Fund(master, "USDT", parse_money("1000")))
    for command in (
        TransferFunds(session.admission(own), master, master, subs[0], "USDT", parse_money("400"), "first"),
        TransferFunds(session.admission(own), master, subs[0], subs[1], "USDT", parse_money("150.5")),
    ):
        session.must(SPOT, command)
        session.now_us += SECOND_US
    session.commit()
    for command in (
        EditKey(key.key_id, master, permissions=1),
        SetKyc(master, "rejected"),  # which stops the sub-accounts' keys, too
        SetKyc(master, "approved"),
        DeleteKey(customer.key_id, broker),
        CloseSubAccount(subs[2], broker),
        SetBroker(broker, False),
        SuspendAccess(master, "three bans in a day"),
        EraseAccount(master),
    ):
        session.must(ACCESS, command)
        session.now_us += HOUR_US
    return session.golden()


def orders_session() -> golden.Golden:
    """Accounts among themselves, without a market: every order type and every way in which an order ends."""
    session = Session()
    session.list_everything()
    rng = random.Random(20_231_114)
    keys = [session.key(session.account(name), name, whitelist=("127.0.0.1",)) for name in ("ada", "bob", "carol")]
    for key in keys:
        for asset, amount in (("USDT", "300000"), ("BTC", "9"), ("ETH", "150")):
            session.must(SPOT, Fund(key.account_id, asset, parse_money(amount)))
    play_orders(session, keys, rng, 700, lambda symbol: {"BTCUSDT": 30_000, "ETHUSDT": 2_000}[symbol] * ONE)
    session.must(ACCESS, DisableKey(keys[0].key_id))
    play_orders(session, keys[1:], rng, 60, lambda symbol: {"BTCUSDT": 30_000, "ETHUSDT": 2_000}[symbol] * ONE)
    return session.golden()


def triggers_session() -> golden.Golden:
    """More stop orders on one price than one command lets begin."""
    session = Session()
    session.list_everything()
    listed = session.spot.rules("BTCUSDT")
    assert listed is not None
    session.must(SPOT, ListSymbol(msgspec.structs.replace(listed, max_open_orders=0, max_algo_orders=0)))
    keys = [session.key(session.account(name), name, whitelist=("127.0.0.1",)) for name in ("ada", "bob")]
    for key in keys:
        for asset, amount in (("USDT", "300000"), ("BTC", "9")):
            session.must(SPOT, Fund(key.account_id, asset, parse_money(amount)))
    ada, bob = map(session.admission, keys)
    bid = PlaceOrder(ada, "BTCUSDT", "BUY", "LIMIT", "GTC", ONE // 1_000, price=30_000 * ONE)
    ask = msgspec.structs.replace(bid, admission=bob, side="SELL")
    stop = msgspec.structs.replace(ask, type="STOP_LOSS_LIMIT", stop_price=29_500 * ONE, price=28_000 * ONE)
    for price in (30_000, 29_000):
        session.must(SPOT, msgspec.structs.replace(bid, price=price * ONE))
    session.must(SPOT, ask)
    for _ in range(MOST_BEGUN + 3):
        session.now_us += SECOND_US // 8
        session.must(SPOT, stop)
    session.must(SPOT, msgspec.structs.replace(ask, price=29_000 * ONE))
    session.must(SPOT, bid)
    return session.golden()


def changes_session() -> golden.Golden:
    """Orders amended and replaced, with every way in which that goes wrong."""
    session = Session()
    session.list_everything()
    rng = random.Random(11)
    keys = [session.key(session.account(name), name, whitelist=("127.0.0.1",)) for name in ("ada", "bob")]
    for key in keys:
        for asset, amount in (("USDT", "30000"), ("BTC", "2")):
            session.must(SPOT, Fund(key.account_id, asset, parse_money(amount)))
    for number in range(200):
        session.now_us += rng.randrange(1, 400_000)
        admission = session.admission(rng.choice(keys))
        mine = session.spot.open_orders(admission.account_id, "BTCUSDT")
        chosen = rng.choice(mine).order_id if mine and rng.random() < 0.9 else 999_999
        order = an_order(rng, admission, "BTCUSDT", 30_000 * ONE, 10_000, 1_000)
        roll = rng.random()
        if roll < 0.35:
            session.do(SPOT, order)
        elif roll < 0.65:
            named = f"amended-{number}" if rng.random() < 0.3 else ""
            quantity = ONE * rng.randrange(1, 50) // 100
            session.do(SPOT, AmendOrder(admission, "BTCUSDT", quantity, chosen, "", named))
        else:
            cancel = CancelOrder(admission, "BTCUSDT", chosen)
            session.do(SPOT, ReplaceOrder(cancel, order, rng.random() < 0.5, rng.random() < 0.5))
        if rng.random() < 0.3:
            session.commit()
    return session.golden()


def market_session() -> golden.Golden:
    """A market's ticks, quick and slow, accounts that rest in it and take from it, and recorded prints."""
    session = Session()
    session.list_everything()
    rng = random.Random(7)
    keys = [session.key(session.account(name), name, whitelist=("127.0.0.1",)) for name in ("ada", "bob")]
    for key in keys:
        for asset, amount in (("USDT", "9000000"), ("BTC", "300"), ("ETH", "700")):
            session.must(SPOT, Fund(key.account_id, asset, parse_money(amount)))
    anchors = load_catalogue().anchors
    session.must(SPOT, compose_opening(7, anchors, session.spot.rules, session.now_us, {"LTCBTC": 155_000}))
    for second in range(90):
        elapsed_us = 10 * SECOND_US if 60 <= second < 66 else SECOND_US
        session.now_us += elapsed_us
        session.must(SPOT, MarketTick(elapsed_us))
        play_orders(session, keys, rng, 3, lambda symbol: session.spot.last_price(symbol))
        if second in (29, 59):
            prints = tuple(
                MarketPrint(155_000 + 100 * rng.randrange(-5, 6), ONE * rng.randrange(1, 9), rng.random() < 0.5)
                for _ in range(5)
            )
            session.must(SPOT, ReplayPrints("LTCBTC", prints))
        if second % 30 == 29:
            # Deep into the quotes, so that their shape is decided on as well.
            for key, side in zip(keys, ("BUY", "SELL"), strict=True):
                order = PlaceOrder(session.admission(key), "BTCUSDT", side, "MARKET", quote_quantity=900_000 * ONE)
                session.must(SPOT, order)
        if second == 75:
            session.must(SPOT, EndReplay("LTCBTC"))
        session.commit()
    return session.golden()


def routing_session() -> golden.Golden:
    """Two books of one asset: plain orders on each, routed ones over both, and takers that leave the price range."""
    session = Session()
    session.list_everything()
    rng = random.Random(20_231_116)
    keys = [session.key(session.account(name), name, whitelist=("127.0.0.1",)) for name in ("ada", "bob", "carol")]
    for key in keys:
        for asset, amount in (("USDT", "300000"), ("USDC", "300000"), ("BTC", "9")):
            session.must(SPOT, Fund(key.account_id, asset, parse_money(amount)))
    for _ in range(400):
        session.now_us += rng.randrange(1, 400_000)
        key, symbol = rng.choice(keys), rng.choice(("BTCUSDT", "BTCUSDC"))
        rules = session.spot.rules(symbol)
        assert rules is not None
        far = rng.random() < 0.1
        price = (30_000 if not far else rng.choice((27_000, 33_000))) * ONE
        order = an_order(rng, session.admission(key), symbol, price, rules.tick_size, rules.step_size)
        routed = order.type in ("LIMIT", "MARKET") and not order.quote_quantity and rng.random() < 0.5
        session.do(SPOT, msgspec.structs.replace(order, routed=routed))
        if rng.random() < 0.3:
            session.commit()
    return session.golden()


def lists_session() -> golden.Golden:
    """Order lists of every form: filled, triggered, let in, cancelled, amended, refused, and met by routed orders."""
    session = Session()
    session.list_everything()
    rng = random.Random(20_251_218)
    keys = [session.key(session.account(name), name, whitelist=("127.0.0.1",)) for name in ("ada", "bob", "carol")]
    for key in keys:
        for asset, amount in (("USDT", "300000"), ("USDC", "300000"), ("BTC", "9")):
            session.must(SPOT, Fund(key.account_id, asset, parse_money(amount)))
    for number in range(500):
        session.now_us += rng.randrange(1, 400_000)
        admission = session.admission(rng.choice(keys))
        roll = rng.random()
        lists = session.spot.open_lists(admission.account_id)
        mine = session.spot.open_orders(admission.account_id, "BTCUSDT")
        if roll < 0.4:
            order = an_order(rng, admission, "BTCUSDT", 30_000 * ONE, 10_000, 1_000)
            routed = order.type in ("LIMIT", "MARKET") and not order.quote_quantity and rng.random() < 0.2
            session.do(SPOT, msgspec.structs.replace(order, routed=routed))
        elif roll < 0.8:
            session.do(SPOT, a_list(rng, admission, f"list-{number}"))
        elif roll < 0.9 and lists:
            session.do(SPOT, CancelOrderList(admission, "BTCUSDT", rng.choice(lists).list_id))
        elif mine:
            chosen = rng.choice(mine)
            session.do(SPOT, AmendOrder(admission, "BTCUSDT", max(chosen.quantity // 2, 1_000), chosen.order_id))
        if rng.random() < 0.3:
            session.commit()
    return session.golden()


def a_list(rng: random.Random, admission: Admission, client_list_id: str) -> PlaceOrderList:
    """One around a price of 30000."""
    form = rng.choice(("OCO", "OTO", "OTOCO", "OPO", "OPOCO"))
    paid = form.startswith("OPO")
    sells = paid or rng.random() < 0.5
    near = (30_000 + rng.randrange(-5, 6)) * ONE
    away = rng.randrange(1, 10) * ONE * (1 if sells else -1)
    working = PlaceOrder(
        admission,
        "BTCUSDT",
        "BUY" if paid or rng.random() < 0.5 else "SELL",
        "LIMIT",
        rng.choice(("GTC", "GTC", "IOC")),
        rng.randrange(10, 50) * ONE // 100,
        price=near,
    )
    common = msgspec.structs.replace(
        working,
        side="SELL" if sells else "BUY",
        time_in_force="",
        quantity=0 if paid else working.quantity,
    )
    limit = msgspec.structs.replace(common, type="LIMIT_MAKER", price=near + away)
    stop = msgspec.structs.replace(common, type="STOP_LOSS", price=0, stop_price=near - away)
    orders = {"OCO": (stop, limit), "OTO": (working, limit), "OPO": (working, limit)}.get(form, (working, stop, limit))
    return PlaceOrderList(admission, "BTCUSDT", form, orders, client_list_id)


def play_orders(
    session: Session, keys: Sequence[Key], rng: random.Random, count: int, price_of: Callable[[str], int]
) -> None:
    """Random orders near the price; refusals are part of the play."""
    for number in range(count):
        session.now_us += rng.randrange(1, 400_000)
        key = rng.choice(keys)
        symbol = rng.choice(("BTCUSDT", "BTCUSDT", "ETHUSDT"))
        rules = session.spot.rules(symbol)
        assert rules is not None
        roll = rng.random()
        admission = session.admission(key)
        if roll < 0.12:
            mine = session.spot.open_orders(key.account_id)
            if mine:
                order = rng.choice(list(mine))
                by_name = rng.random() < 0.5
                session.do(
                    SPOT,
                    CancelOrder(
                        admission,
                        order.symbol,
                        0 if by_name else order.order_id,
                        order.client_order_id if by_name else "",
                        f"cancel-{number}" if rng.random() < 0.5 else "",
                    ),
                )
        elif roll < 0.14:
            session.do(SPOT, CancelOpenOrders(admission, symbol))
        else:
            session.do(SPOT, an_order(rng, admission, symbol, price_of(symbol), rules.tick_size, rules.step_size))
        if rng.random() < 0.3:
            session.commit()


def an_order(rng: random.Random, admission: Admission, symbol: str, price: int, tick: int, step: int) -> PlaceOrder:
    side = rng.choice(("BUY", "SELL"))
    kind = rng.choice(("LIMIT", "LIMIT", "LIMIT", "LIMIT", "LIMIT_MAKER", "MARKET", "MARKET", *STOPS_PLAYED))
    named = f"mine-{rng.randrange(10_000)}" if rng.random() < 0.3 else ""
    quantity = ONE * rng.randrange(1, 80) // 100 // step * step
    mode = rng.choice(("", "", "", "NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"))
    if kind == "MARKET":
        if rng.random() < 0.4:
            return PlaceOrder(
                admission, symbol, side, kind, quote_quantity=rng.randrange(20, 9_000) * ONE, prevention_mode=mode
            )
        return PlaceOrder(admission, symbol, side, kind, quantity=quantity, prevention_mode=mode)
    off = rng.choice((-40, -12, -5, -2, -1, 0, 1, 2, 5, 12, 40))
    limit = (price + price * off // 10_000) // tick * tick
    stop = (price + price * rng.choice((-12, -5, 5, 12)) // 10_000) // tick * tick
    hides = kind in ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT") and rng.random() < 0.2
    pegs = kind in ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT") and rng.random() < 0.1
    trails = kind in STOPS_PLAYED and rng.random() < 0.4
    return PlaceOrder(
        admission,
        symbol,
        side,
        kind,
        rng.choice(("GTC", "GTC", "GTC", "IOC", "FOK")) if kind == "LIMIT" or kind.endswith("_LIMIT") else "",
        quantity,
        price=0 if kind in ("STOP_LOSS", "TAKE_PROFIT") or pegs else limit,
        stop_price=stop if kind in STOPS_PLAYED and not (trails and stop % 3) else 0,
        iceberg_quantity=quantity // 3 // step * step if hides else 0,
        trailing_delta=rng.randrange(10, 60) if trails else 0,
        client_order_id=named,
        prevention_mode=mode,
        strategy_id=rng.choice((None, 5)),
        strategy_type=rng.choice((None, 1_000_001)),
        peg_price_type=rng.choice(("PRIMARY_PEG", "MARKET_PEG")) if pegs else "",
        peg_offset=rng.choice((0, 0, 1)) if pegs else 0,
    )


STOPS_PLAYED = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")

SESSIONS: dict[str, Callable[[], golden.Golden]] = {
    "keys": keys_session,
    "factors": factors_session,
    "sub_accounts": sub_accounts_session,
    "orders": orders_session,
    "triggers": triggers_session,
    "changes": changes_session,
    "market": market_session,
    "routing": routing_session,
    "lists": lists_session,
}


def main(arguments: Sequence[str]) -> int:
    folder = golden.folder_of()
    if folder.exists() and "--again" not in arguments:
        print(f"{folder} exists; raise ENGINE_VERSION for a decision that changed, or say --again before a release")
        return 1
    for name, play in SESSIONS.items():
        recorded = play()
        path = folder / f"{name}.golden"
        golden.write(path, recorded)
        print(f"{path.name}: {recorded.records} records, {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
