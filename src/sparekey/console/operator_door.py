"""How the operator signs in to the pages: with the token of `operator.env`, a few times in a while."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from sparekey.console.allowances import Allowance, neighbourhood
from sparekey.console.sessions import OPERATOR, Session, Sessions
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

TRIES_MOST: Final = 10
TRIES_WINDOW_US: Final = 5 * MINUTE_US


class OperatorDoor:
    """`now_us` is wall time: who turns the policy clock ahead gets no more tries by it."""

    def __init__(self, operator_token: str, sessions: Sessions, now_us: Callable[[], int]) -> None:
        self._operator_token = operator_token.encode()
        self._sessions = sessions
        self._tries = Allowance(TRIES_MOST, TRIES_WINDOW_US, now_us)

    def sign_in(self, token: str, ip: str, agent: str) -> str | Refusal:
        """The token of a session. That of the operator itself stays where it was typed."""
        if wait_s := self._tries.take(neighbourhood(ip)):
            return Refusal(Reason.SIGN_IN_LIMIT, (wait_s,))
        if not hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._operator_token):
            return Refusal(Reason.OPERATOR_TOKEN_WRONG)
        return self._sessions.open(OPERATOR, ip=ip, agent=agent, proven=("token",))[1]

    def sign_out(self, session: Session) -> None:
        self._sessions.end(session)
