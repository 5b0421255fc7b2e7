"""SMS, and chat, by whichever of the services that Apprise knows; it is an extra (`pip install sparekey[notify]`).

Apprise waits for its services, so that it runs in threads, bounded in number. What it would log names whom a message
is for, so it is not let log.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import quote

import msgspec

from sparekey.delivery.outbox import Undelivered
from sparekey.terms.letters import Letter

#: Stands in the URL for the number of whoever the message is for.
PLACE: Final = "{to}"
_SAMPLE_NUMBER: Final = "+15005550006"
_THREADS: Final = 2
_TIMEOUT_S: Final = 30


class SmsService(msgspec.Struct, frozen=True):
    """An Apprise URL, read from SPAREKEY_SMS_URL. Never printed: it holds passwords."""

    url: str

    def __repr__(self) -> str:
        return f"SmsService({self.url.partition('://')[0]}://…)"


def parse_sms_url(text: str) -> SmsService:
    """Raises ValueError with a sentence that repeats nothing of the URL."""
    if importlib.util.find_spec("apprise") is None:
        raise ValueError("SPAREKEY_SMS_URL needs Apprise, which is not installed: pip install 'sparekey[notify]'")
    service = SmsService(text)
    if _service_at(service, _SAMPLE_NUMBER) is None:
        raise ValueError(
            "SPAREKEY_SMS_URL is no URL that Apprise knows; expected one like "
            f"twilio://SID:TOKEN@FROM/{PLACE}, where {PLACE} stands for the number of whoever the message is for"
        )
    return service


class Sms:
    """A URL without a place for the number goes to one channel for all; the message then begins with the number."""

    def __init__(self, service: SmsService) -> None:
        self._service = service
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sms")

    async def deliver(self, letter: Letter, number: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._notify, letter)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _notify(self, letter: Letter) -> None:
        service = _service_at(self._service, letter.to)
        if service is None:
            raise Undelivered("number-refused", "The SMS service does not take this number.", for_good=True)
        text = letter.text if PLACE in self._service.url else f"To {letter.to}: {letter.text}"
        if not service.notify(body=text, body_format="text", timeout=_TIMEOUT_S):
            raise Undelivered("refused", "The SMS service did not take the message.")


def _service_at(service: SmsService, number: str) -> Any:
    """An Apprise with this one service, or None if it makes nothing of the URL."""
    import apprise

    logging.getLogger("apprise").disabled = True
    notifier = apprise.Apprise()
    return notifier if notifier.add(service.url.replace(PLACE, quote(number, safe=""))) else None
