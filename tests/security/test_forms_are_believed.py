"""Every form of the assembled console, whoever added it: nothing changes by GET, nothing by a POST that no page of this
very session sent, and none breaks. Cookies are for the server alone, and another token follows each proof."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from starlette.routing import Route

import sparekey.console.pages
from sparekey.access.state import FACTORS
from sparekey.console.pages.shell import OPERATOR_COOKIE, SESSION_COOKIE, Shell
from sparekey.console.verification import Application
from tests.console_platform import OTHER_PASSWORD, Holder, Platform, on_a_platform
from tests.page_reader import HOST, PageReader

OURS = f"http://{HOST}"


class Doors(NamedTuple):
    """Addresses of all pages of the console, and of all that take a form."""

    pages: list[str]
    forms: list[str]


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> list[Route]:
    """Filled at a start with every route of the console's pages."""
    found: list[Route] = []
    application = Shell.application

    def watched(self: Shell, pages: Iterable[Route]) -> Any:
        made = application(self, list(pages))
        found.extend(route for route in made.routes if isinstance(route, Route))
        return made

    monkeypatch.setattr(Shell, "application", watched)
    return found


def doors_of(routes: list[Route], known: dict[str, str]) -> Doors:
    """With what is there in place of each parameter."""

    def filled(path: str) -> str:
        return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: known.get(found[1], "nothing"), path)

    def answering(method: str) -> list[str]:
        return sorted({filled(route.path) for route in routes if route.methods and method in route.methods})

    return Doors([path for path in answering("GET") if not path.startswith("/static/")], answering("POST"))


async def at_home(platform: Platform) -> tuple[Holder, dict[str, str]]:
    """A holder who is signed in to the pages, beside the operator; and what parameters of paths may name."""
    ann = await platform.verified()
    await ann.sign_in_at_the_page()
    made = await platform.operate("POST", f"/accounts/{ann.email}/keys", {"label": "bot"})
    state = platform.running._access
    key = state.key_by_api_key(made["apiKey"])
    assert key is not None
    token, session = platform.signed_in_operator()
    platform.operator.cookies[OPERATOR_COOKIE] = token
    wanted = await ann.ask("POST", "/me/recovery-codes")
    sessions = await ann.done("GET", "/sessions")
    known = {
        "key_id": str(key.key_id),
        "api_key": made["apiKey"],
        "account_id": str(key.account_id),
        "symbol": "BTCUSDT",
        "slug": "key-unknown",
        "number": "1",
        "handle": sessions[0]["handle"],
        "step_up_id": wanted.body["stepUp"]["id"],
        "factor": "totp",
        "ip": "192.0.2.1",
    }
    assert session is not None
    return ann, known


def readers(ann: Holder, platform: Platform) -> Iterator[tuple[str, PageReader]]:
    """By whom, with the cookies that a browser would send along: also to a form of another site."""
    yield "nobody", PageReader(platform.application)
    yield "the holder", with_cookies(platform, ann.browser)
    yield "the operator", with_cookies(platform, platform.operator)


def with_cookies(platform: Platform, other: PageReader) -> PageReader:
    reader = PageReader(platform.application, other.ip)
    reader.cookies = dict(other.cookies)
    return reader


def state_of(platform: Platform) -> tuple[Any, ...]:
    """What a form could change: everything decided, sessions, letters."""
    running = platform.running
    sessions = running._session_file._database.execute("SELECT handle, digest, epoch FROM sessions").fetchall()
    return platform.position, sorted(sessions), len(running._outbox.newest()), sorted(running._ledger.bans)


def test_no_page_changes_anything_by_get_whoever_looks(
    routes: list[Route], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann, known = await at_home(platform)
        pages = doors_of(routes, known).pages
        assert len(pages) > 40
        before = state_of(platform)
        for who, reader in readers(ann, platform):
            for page in pages:
                for method in ("GET", "HEAD"):
                    seen = await reader.send(method, page, headers={})
                    assert seen.status < 500, (who, method, page)
                    assert state_of(platform) == before, (who, method, page)

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_no_form_does_anything_that_no_page_of_this_session_sent(
    routes: list[Route], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann, known = await at_home(platform)
        eve = await platform.verified("eve", "198.51.100.9")
        await eve.sign_in_at_the_page()
        eves = platform.csrf_of(eve.browser.cookies[SESSION_COOKIE])
        anns = platform.csrf_of(ann.browser.cookies[SESSION_COOKIE])
        operators = platform.csrf_of(platform.operator.cookies[OPERATOR_COOKIE])
        assert len({eves, anns, operators}) == 3
        forms = doors_of(routes, known).forms
        assert len(forms) > 40
        before = state_of(platform)
        for who, reader in readers(ann, platform):
            own = {"the holder": anns, "the operator": operators}.get(who, "")
            for form in forms:
                for csrf, headers in (
                    ("", {}),
                    ("x", {}),
                    (eves, {"origin": OURS}),
                    (own, {"origin": "https://evil.example"}),
                    (own, {"origin": "null"}),
                    (own, {"origin": f"{OURS}.evil.example"}),
                    (own, {"sec-fetch-site": "cross-site"}),
                    (own, {"sec-fetch-site": "same-site"}),
                ):
                    told = {"user-agent": "a browser", **headers}
                    seen = await reader.post(form, {"csrf": csrf} if csrf else {}, told)
                    # A form for somebody else leads to a sign-in, or there is nothing to sign out.
                    assert seen.status in (303, 403), (who, form, csrf, headers, seen.status, seen.words[:300])
                    assert state_of(platform) == before, (who, form, csrf, headers)
                    if seen.status == 303 and not form.endswith("/sign-out"):
                        assert "/sign-in" in seen.headers["location"], (who, form)
                        assert who != "the holder" or form.startswith("/operator"), form

    on_a_platform(monkeypatch, tmp_path / "data", work)


#: All that a page asks a form for.
FIELDS = sorted(
    {*Application.__struct_fields__, *FACTORS, "email"}
    | {
        name
        for page in Path(sparekey.console.pages.__file__).parent.glob("*.py")
        for name in re.findall(r'form\.(?:text|all|upload)\("([\w-]+)"', page.read_text())
        if name != "csrf"
    }
)
VALUES = ("", "x" * 5_000, "\0\x1b[2J", "\u202e🔑", "²", "-1", "{}", "../..", "'\"><&")
BODIES = (
    (b"\xff\xfe=\xff", "application/x-www-form-urlencoded"),
    (b"&".join([b"a=b"] * 300), "application/x-www-form-urlencoded"),
    (b"a" * 70_000, "application/x-www-form-urlencoded"),
    (b"", "multipart/form-data"),
    (b"--x\r\n", "multipart/form-data; boundary=x"),
    (b"{}", "application/json"),
)


def test_no_form_breaks_whatever_is_typed_into_it(
    routes: list[Route], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann, known = await at_home(platform)
        assert len(FIELDS) > 20
        for form in doors_of(routes, known).forms:
            reader = platform.operator if form.startswith("/operator") else ann.browser
            cookie = OPERATOR_COOKIE if reader is platform.operator else SESSION_COOKIE
            csrf = platform.csrf_of(reader.cookies[cookie])
            if form.endswith("/sign-out"):
                continue
            for value in VALUES:
                for times in (1, 2):
                    pairs = [("csrf", csrf), *((name, value) for name in FIELDS for _ in range(times))]
                    kind = "application/x-www-form-urlencoded"
                    seen = await reader.send("POST", form, urlencode(pairs).encode(), {"content-type": kind})
                    assert seen.status < 500, (form, value[:10], times, seen.words[:300])
            for body, kind in BODIES:
                seen = await reader.send("POST", form, body, {"content-type": kind})
                assert 400 <= seen.status < 500, (form, body[:10], seen.status)
        assert (await ann.browser.get("/my")).status == 200
        assert (await platform.operator.get("/operator")).status == 200

    on_a_platform(monkeypatch, tmp_path / "data", work)


@pytest.mark.parametrize("public_url", ["", "https://exchange.example"])
def test_cookies_are_for_the_server_alone_and_over_tls_where_it_is_reached_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, public_url: str
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        for scheme in ("http", "https"):
            ann.browser = PageReader(platform.application, ann.browser.ip, scheme)
            seen: list[str] = []
            page = await ann.browser.get("/sign-in")
            seen += page.cookies
            fields = {**page.form("/sign-in"), "email": ann.email, "password": ann.password}
            answer = await ann.browser.post("/sign-in", fields)
            seen += answer.cookies
            page = await ann.browser.get(answer.headers["location"])
            fields = {**page.form("/sign-in/factor"), "totp": ann.shown()}
            seen += (await ann.browser.post("/sign-in/factor", fields)).cookies
            names = {cookie.partition("=")[0] for cookie in seen}
            assert names >= {"sparekey_form", "sparekey_session", "sparekey_device"}
            for cookie in seen:
                attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
                assert {"httponly", "path=/"} <= attributes, cookie
                assert attributes & {"samesite=lax", "samesite=strict"}, cookie
                assert not any(attribute.startswith("domain") for attribute in attributes), cookie
                assert ("secure" in attributes) is (scheme == "https" or bool(public_url)), cookie

    on_a_platform(monkeypatch, tmp_path / "data", work, public_url=public_url)


def test_another_token_follows_each_proof_and_the_old_one_opens_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def opens(platform: Platform, cookies: dict[str, str]) -> bool:
        reader = PageReader(platform.application)
        reader.cookies = dict(cookies)
        return (await reader.get("/my")).status == 200

    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        # A token that somebody else put into the browser is not the one that gets signed in.
        ann.browser.cookies[SESSION_COOKIE] = "planted"
        page = await ann.browser.open("/sign-in")
        await ann.browser.submit(page, {"email": ann.email, "password": ann.password}, "/sign-in")
        half = dict(ann.browser.cookies)
        assert not await opens(platform, half)
        page = await ann.browser.open("/sign-in/factor")
        await ann.browser.submit(page, {"totp": ann.shown()}, "/sign-in/factor")
        full = dict(ann.browser.cookies)
        assert len({"planted", half[SESSION_COOKIE], full[SESSION_COOKIE]}) == 3
        assert await opens(platform, full)
        assert not await opens(platform, half)
        # A step-up on the pages.
        page = await ann.browser.open("/my/settings/security/recovery")
        page = await ann.browser.submit(page, {})
        assert page.address.startswith("/verify/"), page.words[:300]
        page = await ann.browser.submit(page, {"totp": ann.shown(), "email": ann.code("email")}, page.address)
        assert page.status == 200, page.words[:300]
        assert ann.browser.cookies[SESSION_COOKIE] != full[SESSION_COOKIE]
        assert await opens(platform, ann.browser.cookies)
        assert not await opens(platform, full)

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_another_password_and_log_out_everywhere_end_every_session_also_after_a_restart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever becomes of the file of sessions: it is put back as it was before."""
    data = tmp_path / "data"
    tokens: list[str] = []

    async def before(platform: Platform) -> None:
        ann = await platform.verified()
        tokens.append(ann.token)
        await ann.enter()
        tokens.append(ann.token)
        running = platform.running
        running._session_file._database.wal_checkpoint()
        kept = (data / "sessions.db").read_bytes()
        await ann.step_up("POST", "/me/password", {"old": ann.password, "new": OTHER_PASSWORD})
        ann.password = OTHER_PASSWORD
        await ann.enter()
        tokens.append(ann.token)
        await ann.done("DELETE", "/sessions")
        for token in tokens:
            assert (await platform.ask("GET", "/me", token=token)).status == 401
        assert (await ann.ask("GET", "/me")).status == 200
        tokens.append(ann.token)
        (tmp_path / "kept").write_bytes(kept)

    async def after(platform: Platform) -> None:
        for token in tokens:
            assert (await platform.ask("GET", "/me", token=token)).status == 401, token

    on_a_platform(monkeypatch, data, before, durability="normal")
    for path in data.glob("sessions.db*"):
        path.unlink()
    (data / "sessions.db").write_bytes((tmp_path / "kept").read_bytes())
    on_a_platform(monkeypatch, data, after, durability="normal")
