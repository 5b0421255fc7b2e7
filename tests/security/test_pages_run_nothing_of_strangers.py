"""Whatever people call themselves, their keys and their browsers, and whatever stands in an address: no page of the
assembled console lets it run. Nor is there anything inline that a strict policy would have to allow."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from sparekey.console.pages.shell import OPERATOR_COOKIE
from tests.console_platform import Holder, Platform, crawl, on_a_platform
from tests.page_reader import PageReader, Seen

MARKUP = "<img src=x onerror=alert(1)>"
#: In text, in an attribute, in a comment, in a template.
STRANGE = (f"{MARKUP}", f"'\"><svg/onload=alert(2)>{MARKUP}", "--><script>alert(3)</script>", "{{ 7 * 7 }}${7*7}%27")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


async def strange_life(platform: Platform) -> Holder:
    """Strange text wherever an account, a caller or an operator can leave some."""
    ann = await platform.verified()
    for label in STRANGE:
        made = await platform.operate("POST", f"/accounts/{ann.email}/keys", {"label": label})
        await PageReader(platform.application).send(
            "GET", f"/api/v3/{quote(label)}", headers={"x-mbx-apikey": made["apiKey"], "host": "localhost:8080"}
        )
    for agent in STRANGE:
        reader = PageReader(platform.application, ann.browser.ip)
        answer = await reader.send(
            "POST",
            "/sparekey/v1/session",
            b'{"email": "ann@example.com", "password": "tin giraffe, 40 lanterns"}',
            {"content-type": "application/json", "user-agent": agent.encode("ascii", "replace").decode()},
        )
        assert answer.status == 200
        token = answer.json["token"]
        done = await platform.ask("POST", "/session/factor", {"factor": "totp", "code": ann.shown()}, token)
        assert done.status == 200
    await platform.operate("POST", f"/accounts/{ann.email}/suspend", {"reason": STRANGE[1]})
    await ann.sign_in_at_the_page()
    return ann


async def strange_addresses(reader: PageReader) -> list[Seen]:
    """Strange text in every place of an address that a page may show again."""
    found = []
    for text in STRANGE:
        strange = quote(text, safe="")
        for address in (
            f"/{strange}",
            f"/sign-in?next={strange}",
            f"/sign-in?next=/{strange}",
            f"/sign-up/confirm?token={strange}",
            f"/reset?token={strange}",
            f"/reasons?q={strange}",
            f"/reasons/{strange}",
            f"/markets/{strange}",
            f"/verify/{strange}",
            f"/operator/accounts?q={strange}",
            f"/operator/keys?q={strange}&status={strange}",
            f"/operator/sign-in?next={strange}",
        ):
            page = await reader.get(address)
            assert page.status < 500, address
            found.append(page)
    return found


def test_no_page_lets_run_what_a_stranger_wrote_and_none_has_anything_inline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await strange_life(platform)
        platform.operator.cookies[OPERATOR_COOKIE], _ = platform.signed_in_operator()
        pages = await crawl(PageReader(platform.application), "/", "/sign-in", "/nothing-here")
        pages += await crawl(ann.browser, "/my", "/my/settings/api-management", "/my/settings/security/sessions")
        pages += await crawl(platform.operator, "/operator")
        for reader in (PageReader(platform.application), ann.browser, platform.operator):
            pages += await strange_addresses(reader)
        html = [page for page in pages if page.headers.get("content-type", "").startswith("text/html")]
        assert len(html) > 80
        # It is there, and it is text.
        assert sum("alert(1)" in page.text for page in html) > 8
        for page in html:
            text = re.sub(r"(?s)<!--.*?-->", "", page.text)
            assert "<img src=x" not in text, page.address
            assert "<svg/onload" not in text, page.address
            assert "<script>alert" not in text, page.address
            assert "${49}" not in text, page.address
            must_be_strict(page, text)

    on_a_platform(monkeypatch, tmp_path / "data", work)


def must_be_strict(page: Seen, text: str) -> None:
    assert page.headers["x-content-type-options"] == "nosniff", page.address
    assert page.headers["cache-control"] == "no-store", page.address
    policy = page.headers["content-security-policy"]
    if re.fullmatch(r"/operator/outbox/\d+/html", page.address):
        # A letter as its reader sees it: without any script, and outside of our origin.
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert "script-src" not in policy
        return
    assert policy == POLICY, page.address
    reader = Inline()
    reader.feed(text)
    assert reader.found == [], page.address


class Inline(HTMLParser):
    """Finds what a strict policy forbids to be in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        handlers = [name for name in told if name.startswith("on") or name == "style"]
        leads = [value or "" for name, value in attrs if name in ("href", "src", "action", "formaction")]
        if tag == "style" or (tag == "script" and not told.get("src")) or handlers:
            self.found.append(f"<{tag} {' '.join(handlers)}>")
        self.found += [lead for lead in leads if lead.strip().lower().startswith(("javascript:", "vbscript:"))]
