"""The browser's virtual authenticator: a passkey without a thumb (Chrome DevTools protocol, domain WebAuthn)."""

from __future__ import annotations

from typing import Any

from tests.e2e.console.visitors import Visitor


class VirtualAuthenticator:
    """Built into the visitor's machine, with user verification that passes while `verified`."""

    def __init__(self, visitor: Visitor, *, verified: bool = True) -> None:
        self._session = visitor.context.new_cdp_session(visitor.page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": verified,
            "automaticPresenceSimulation": True,
        }
        self._id = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def verify_user(self, on: bool) -> None:
        self._session.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": on})

    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})[
            "credentials"
        ]
        return found
