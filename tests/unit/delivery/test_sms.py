"""SMS through Apprise, to a service that listens on this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from sparekey.delivery.outbox import Undelivered
from sparekey.delivery.sms import Sms, parse_sms_url
from sparekey.terms.letters import SMS, Letter

LETTER = Letter(kind=SMS, to="+4915112345678", text="Sparekey: 12345678 is your code to delete <b>“Bot A”</b> \\n.")


class Service:
    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []
        self.status = 200
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.received.append((self.path, json.loads(body)))
                self.send_response(service.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    one = Service()
    yield one
    one.close()


def deliver(url: str) -> None:
    sms = Sms(parse_sms_url(url))
    try:
        asyncio.run(sms.deliver(LETTER, 1))
    finally:
        sms.close()


def test_a_message_reaches_the_service_for_its_number(service: Service) -> None:
    deliver(f"json://user:pass@{service.place}/sms/{{to}}")
    [(path, document)] = service.received
    assert path == "/sms/+4915112345678"
    assert document["message"] == LETTER.text


def test_where_all_go_to_one_channel_the_message_names_its_number(service: Service) -> None:
    deliver(f"json://{service.place}/channel")
    [(path, document)] = service.received
    assert path == "/channel"
    assert document["message"] == f"To +4915112345678: {LETTER.text}"


def test_a_service_that_refuses_is_tried_again_and_logs_no_number(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.status = 500
    with caplog.at_level(logging.INFO), pytest.raises(Undelivered) as caught:
        deliver(f"json://user:hunter2@{service.place}/sms/{{to}}")
    assert caught.value.kind == "refused" and not caught.value.for_good
    said = caplog.text + str(caught.value) + caught.value.told
    assert "4915112345678" not in said and "hunter2" not in said and "12345678" not in said


@pytest.mark.parametrize("url", ["hunter2", "nothing://hunter2@host/{to}", "twilio://hunter2"])
def test_a_url_that_apprise_does_not_know_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="SPAREKEY_SMS_URL") as caught:
        parse_sms_url(url)
    assert "hunter2" not in str(caught.value)


def test_without_the_extra_a_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'sparekey\[notify\]'"):
        parse_sms_url("json://host/{to}")


def test_a_service_is_never_printed_with_its_passwords() -> None:
    assert repr(parse_sms_url("json://user:hunter2@host/{to}")) == "SmsService(json://…)"
