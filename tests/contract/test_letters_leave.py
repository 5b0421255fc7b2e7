"""Letters of the assembled platform: they wait for a mail server, reach it, and are gone here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sparekey.delivery.outbox import SENT, UNDER_WAY
from sparekey.settings import delivery_in
from tests.console_platform import Platform, on_a_platform
from tests.unit.delivery.test_smtp import Post, all_seen_to


def test_a_sign_up_is_confirmed_by_the_letter_that_a_mail_server_received(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    post = Post()

    async def work(platform: Platform) -> None:
        running = platform.running
        waited: list[float] = []

        async def wait(seconds: float) -> None:
            """The mail server comes up while the letter waits."""
            waited.append(seconds)
            [posted] = running._outbox.newest()
            assert posted.state == UNDER_WAY and "cannot be reached" in posted.problem
            ready = (await platform.operator.get("/readyz")).json["components"]["letters"]
            assert ready["status"] == "degraded" and ready["detail"] == "email: unreachable (1 letter waits)"
            await post.__aenter__()

        running._outbox._sleep = wait
        ann = platform.holder()
        await ann.done("POST", "/sign-up", {"email": ann.email, "password": ann.password})
        await all_seen_to(running._outbox)
        assert waited == [2.0]
        [posted] = running._outbox.newest()
        assert posted.state == SENT
        left = await platform.operate("GET", f"/letters/{posted.number}")
        assert (left["to"], left["text"], left["html"]) == (ann.email, None, None)  # it is its reader's alone
        [(envelope, message)] = post.received
        assert envelope.rcpt_tos == [ann.email]
        body = message.get_body(("plain",))
        assert body is not None
        link = re.search(r"https://exchange\.example/sign-up/confirm\?token=([\w-]+)", body.get_content())
        assert link is not None
        await ann.done("POST", "/sign-up/confirm", {"token": link[1]})
        assert (await ann.enter())["stage"] == "full"
        await all_seen_to(running._outbox)
        metrics = (await platform.operator.get("/metrics")).text
        assert "a new device" in post.received[-1][1]["Subject"]
        assert "sparekey_letters_sent_total 2.0" in metrics
        assert (await platform.operator.get("/readyz")).json["components"]["letters"]["status"] == "ok"
        everything = json.dumps((await platform.operator.get("/readyz")).json) + metrics
        assert ann.email not in everything and link[1] not in everything
        await post.__aexit__()

    settings: dict[str, Any] = delivery_in(
        {"SPAREKEY_SMTP_URL": f"smtp://127.0.0.1:{post.port}", "SPAREKEY_MAIL_FROM": "Sparekey <keys@exchange.example>"}
    )
    on_a_platform(monkeypatch, tmp_path, work, mode="guarded", public_url="https://exchange.example", **settings)
