"""A connection of the WebSocket API as its calls know it: who logged on, and whose user data it hears.

Binance spot, "WebSocket API": authentication requests and user data stream requests. A key that ends takes its
subscriptions along at once; whoever logged on with it learns of that with the next request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.user_data import UserDataFeed, UserEvent, event_stream_terminated, server_shutdown

_encode = msgspec.json.Encoder().encode

_ACTIVE = Refusal(Reason.SUBSCRIPTION_ACTIVE)
_INACTIVE = Refusal(Reason.SUBSCRIPTION_INACTIVE)
_USED_UP = Refusal(Reason.SUBSCRIPTIONS_USED_UP)
_KEY_TYPES = {"hmac": "HMAC_SHA256", "rsa": "RSA", "ed25519": "Ed25519"}

#: Subscriptions of one connection: at once, and over its life.
_MOST_ACTIVE = 1_000
_MOST_EVER = 65_535


class Subscription:
    """One account's user data on a session. Implements `wire.user_data.Listener`.

    `by_logon`: it belongs to whoever is logged on and ends with the logout.
    """

    __slots__ = ("account_id", "by_logon", "id", "key_id", "session")

    def __init__(self, session: Session, id: int, account_id: int, key_id: int, by_logon: bool) -> None:
        self.session = session
        self.id = id
        self.account_id = account_id
        self.key_id = key_id
        self.by_logon = by_logon

    def tell(self, event: UserEvent) -> None:
        self.session.push(self.wrap(event.payload(self.session.microseconds)))

    def wrap(self, event: bytes) -> bytes:
        return b'{"subscriptionId":%d,"event":%b}' % (self.id, event)


class Session:
    """`push` sends an event when the commit's other ones leave. `connected_us` is wire time.

    `afterwards`: events that follow the reply to the request that is being answered.
    """

    __slots__ = (
        "afterwards",
        "api_key",
        "authorized_us",
        "connected_us",
        "feed",
        "ip",
        "malformed",
        "microseconds",
        "next_id",
        "push",
        "subscriptions",
        "tells_limits",
        "user_agent",
    )

    def __init__(
        self,
        feed: UserDataFeed,
        push: Callable[[bytes], None],
        *,
        ip: str,
        user_agent: bytes,
        connected_us: int,
        microseconds: bool,
        tells_limits: bool,
    ) -> None:
        self.feed = feed
        self.push = push
        self.ip = ip
        self.user_agent = user_agent
        self.connected_us = connected_us
        self.microseconds = microseconds
        self.tells_limits = tells_limits
        #: of the key that is logged on
        self.api_key: bytes | None = None
        self.authorized_us = 0
        self.subscriptions: dict[int, Subscription] = {}
        self.next_id = 0
        self.afterwards: list[bytes] = []
        #: frames in a row that were no requests
        self.malformed = 0

    # --- logged on ---------------------------------------------------------------------------------------------------

    def log_on(self, api_key: bytes, now_us: int) -> None:
        self.api_key = api_key
        self.authorized_us = now_us

    def log_out(self, now_us: int) -> None:
        self.api_key = None
        self.authorized_us = 0
        for subscription in list(self.subscriptions.values()):
            if subscription.by_logon:
                self.afterwards.append(self.end(subscription, now_us))

    def describe(self, desk: Desk, call: Call) -> bytes:
        return _encode(
            {
                "apiKey": None if self.api_key is None else self.api_key.decode(),
                "authorizedSince": call.time(self.authorized_us) if self.authorized_us else None,
                "connectedSince": call.time(self.connected_us),
                "returnRateLimits": self.tells_limits,
                "serverTime": call.time(desk.clocks.wire_us()),
                "userDataStream": bool(self.subscriptions),
            }
        )

    # --- user data ---------------------------------------------------------------------------------------------------

    def subscribe(self, account_id: int, key_id: int, *, by_logon: bool) -> bytes | Refusal:
        if any(one.account_id == account_id for one in self.subscriptions.values()):
            return _ACTIVE
        if self.next_id >= _MOST_EVER or len(self.subscriptions) >= _MOST_ACTIVE:
            return _USED_UP
        subscription = Subscription(self, self.next_id, account_id, key_id, by_logon)
        self.next_id += 1
        self.subscriptions[subscription.id] = subscription
        self.feed.listen(account_id, subscription)
        return b'{"subscriptionId":%d}' % subscription.id

    def end(self, subscription: Subscription, now_us: int) -> bytes:
        """Hear nothing more; the event that says so."""
        del self.subscriptions[subscription.id]
        self.feed.leave(subscription.account_id, subscription)
        return subscription.wrap(event_stream_terminated(now_us, self.microseconds))

    def leave(self) -> None:
        """The connection is over."""
        for subscription in self.subscriptions.values():
            self.feed.leave(subscription.account_id, subscription)
        self.subscriptions.clear()

    def shutdown_event(self, now_us: int) -> bytes:
        return b'{"event":%b}' % server_shutdown(now_us, self.microseconds)


# --- methods ---------------------------------------------------------------------------------------------------------


def log_on(desk: Desk, call: Call) -> bytes | Refusal:
    """session.logon: later requests may leave out apiKey and signature. Again: another key, or the same anew."""
    key = desk.access.keys[call.admitted().key_id]
    if key.key_type != "ed25519":
        return Refusal(Reason.LOGON_KEY_TYPE, (_KEY_TYPES[key.key_type],))
    session = call.on_session()
    session.log_on(key.header, call.now_us)
    return session.describe(desk, call)


def tell_status(desk: Desk, call: Call) -> bytes | Refusal:
    """session.status"""
    return call.on_session().describe(desk, call)


def log_out(desk: Desk, call: Call) -> bytes | Refusal:
    """session.logout: the connection stays, and so do subscriptions that were signed for."""
    session = call.on_session()
    session.log_out(desk.clocks.wire_us())
    return session.describe(desk, call)


def list_subscriptions(desk: Desk, call: Call) -> bytes | Refusal:
    """session.subscriptions"""
    return _encode([{"subscriptionId": id} for id in call.on_session().subscriptions])


def subscribe(desk: Desk, call: Call) -> bytes | Refusal:
    """userDataStream.subscribe: of whoever is logged on."""
    return call.on_session().subscribe(call.account_id, call.admitted().key_id, by_logon=True)


def subscribe_by_signature(desk: Desk, call: Call) -> bytes | Refusal:
    """userDataStream.subscribe.signature: of whoever signed this request."""
    return call.on_session().subscribe(call.account_id, call.admitted().key_id, by_logon=False)


def unsubscribe(desk: Desk, call: Call) -> bytes | Refusal:
    """userDataStream.unsubscribe: one subscription, or all."""
    session = call.on_session()
    id: int | None = call.values["subscriptionId"]
    ending: list[Any] = [
        subscription for subscription in session.subscriptions.values() if id is None or subscription.id == id
    ]
    if not ending:
        return _INACTIVE
    now_us = desk.clocks.wire_us()
    session.afterwards += [session.end(subscription, now_us) for subscription in ending]
    return b"{}"
