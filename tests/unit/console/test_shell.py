"""The frame of all pages: which forms are believed, where a redirect may lead, what headers and errors look like."""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sparekey.console.pages import front_page
from sparekey.console.pages.forms import LARGEST_FORM
from sparekey.console.pages.shell import Shell, safe_path
from sparekey.console.pages.spelling import masked, span
from tests.page_reader import HOST, PageReader, Seen


class Signed(NamedTuple):
    account_id: int
    csrf: str


class FixedSessions:
    def __init__(self) -> None:
        self.full = {"ann": Signed(7, "a" * 40), "boss": Signed(0, "o" * 40)}
        self.half = {"half": Signed(7, "h" * 40)}

    def find(self, token: str) -> Signed | None:
        return self.full.get(token)

    def find_half(self, token: str) -> Signed | None:
        return self.half.get(token)


def reader(**cookies: str) -> PageReader:
    shell = Shell(
        FixedSessions(), lambda account_id: f"<{account_id}>@example.com", lambda: 0, facts={"Mode": "<sandbox>"}
    )

    async def take(request: Request) -> Response:
        form = await shell.form(request, 100_000 if request.query_params else LARGEST_FORM)
        upload = form.upload("image")
        return PlainTextResponse(f"{form.text('word')} {form.all('many')} {upload}")

    async def done(request: Request) -> Response:
        await shell.form(request)
        return shell.done(request, "/", "It <is> done.")

    async def home(request: Request, session: Signed) -> Response:
        return PlainTextResponse(f"account {session.account_id}")

    async def fail(request: Request) -> Response:
        raise RuntimeError("the inside")

    routes = [
        Route("/take", take, methods=["POST"]),
        Route("/operator/take", take, methods=["POST"]),
        Route("/done", done, methods=["POST"]),
        Route("/my", shell.holders_only(home)),
        Route("/operator", shell.operators_only(home)),
        Route("/fail", fail),
    ]
    one = PageReader(shell.application([*front_page.routes(shell), *routes]))
    one.cookies |= cookies
    return one


def get(one: PageReader, address: str, **headers: str) -> Seen:
    return asyncio.run(one.get(address, headers))


def post(one: PageReader, address: str, fields: dict[str, Any], **headers: str) -> Seen:
    return asyncio.run(one.post(address, fields, {name.replace("_", "-"): value for name, value in headers.items()}))


def test_a_page_is_escaped_and_carries_a_policy_under_which_nothing_inline_runs() -> None:
    seen = get(reader(), "/")
    assert "&lt;sandbox&gt;" in seen.text
    policy = seen.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert seen.headers["cache-control"] == "no-store"
    assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=", seen.text)


def test_a_signed_out_browser_must_send_the_token_of_its_cookie() -> None:
    one = reader()
    token = get(one, "/").form("/theme")["csrf"][0]
    assert token == one.cookies["sparekey_form"]
    assert post(one, "/take", {"csrf": token, "word": "yes"}).text.startswith("yes")
    assert post(one, "/take", {"csrf": "x" * 32}).status == 403
    assert post(one, "/take", {}).status == 403
    assert post(reader(), "/take", {"csrf": token}).status == 403
    assert post(reader(), "/take", {"csrf": ""}).status == 403
    assert post(reader(sparekey_form=""), "/take", {"csrf": ""}).status == 403


@pytest.mark.parametrize(
    ("cookie", "token", "address", "status"),
    [
        ({"sparekey_session": "ann"}, "a" * 40, "/take", 200),
        ({"sparekey_session": "ann", "sparekey_form": "f" * 40}, "f" * 40, "/take", 403),
        ({"sparekey_session": "half"}, "h" * 40, "/take", 200),
        ({"sparekey_session": "boss"}, "o" * 40, "/take", 403),
        ({"sparekey_operator": "boss"}, "o" * 40, "/operator/take", 200),
        ({"sparekey_session": "ann", "sparekey_operator": "boss"}, "a" * 40, "/operator/take", 403),
        ({"sparekey_operator": "ann"}, "a" * 40, "/operator/take", 403),
        ({"sparekey_operator": "boss", "sparekey_session": "ann"}, "o" * 40, "/theme", 303),
    ],
)
def test_a_signed_in_browser_must_send_the_secret_of_its_session(
    cookie: dict[str, str], token: str, address: str, status: int
) -> None:
    assert post(reader(**cookie), address, {"csrf": token}).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": f"http://{HOST}"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site", "origin": f"http://{HOST}"}, 403),
    ],
)
def test_a_form_of_another_site_is_refused_even_with_the_right_token(headers: dict[str, str], status: int) -> None:
    assert post(reader(sparekey_session="ann"), "/take", {"csrf": "a" * 40}, **headers).status == status


def test_a_field_sent_twice_is_refused_and_the_boxes_of_one_name_are_not() -> None:
    one = reader(sparekey_session="ann")
    assert post(one, "/take", {"csrf": "a" * 40, "many": ["1", "2"]}).text == " ['1', '2'] None"
    twice = post(one, "/take", {"csrf": "a" * 40, "word": ["1", "2"]})
    assert twice.status == 400
    assert "The field word was sent 2 times." in twice.words


def test_what_is_too_large_too_much_or_no_form_is_refused() -> None:
    one = reader(sparekey_session="ann")
    assert post(one, "/take", {"csrf": "a" * 40, "word": "x" * LARGEST_FORM}).status == 413
    assert post(one, "/take", {"csrf": "a" * 40, "many": ["1"] * 300}).status == 400
    assert post(one, "/take", {"csrf": "a" * 40}, content_type="application/json").status == 415
    assert post(one, "/take", {"csrf": "a" * 40}, content_type="").status == 415
    assert asyncio.run(_raw(one, b"csrf=" + b"a" * 40 + b"&word=%ff")).status == 400


async def _raw(one: PageReader, body: bytes, kind: str = "application/x-www-form-urlencoded") -> Seen:
    return await one.send("POST", "/take", body, {"content-type": kind})


def test_a_form_with_a_file_is_read_in_memory_and_one_that_is_cut_off_is_refused() -> None:
    body = (
        b'--line\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n' + b"a" * 40 + b"\r\n"
        b'--line\r\nContent-Disposition: form-data; name="word"\r\n\r\nW\xc3\xb6rter\r\n'
        b'--line\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        b"\x89PNG\r\n--lin\r\n--line--\r\n"
    )
    one, kind = reader(sparekey_session="ann"), "multipart/form-data; boundary=line"
    seen = asyncio.run(_raw(one, body, kind))
    assert seen.text.startswith("Wörter")
    assert "content=b'\\x89PNG\\r\\n--lin'" in seen.text
    assert asyncio.run(_raw(one, body[:-20], kind)).status == 400
    assert asyncio.run(_raw(one, body, "multipart/form-data")).status == 400
    assert asyncio.run(_raw(one, b"", kind)).status == 400


def test_a_notice_is_shown_once_and_escaped() -> None:
    one = reader()
    token = get(one, "/").form("/theme")["csrf"][0]
    answer = post(one, "/done", {"csrf": token})
    assert answer.status == 303
    assert get(one, "/").by_id("notice") == "It <is> done."
    assert get(one, "/").by_id("notice") is None


def test_who_is_not_signed_in_signs_in_first_and_comes_back() -> None:
    assert get(reader(sparekey_session="ann"), "/my").text == "account 7"
    assert get(reader(), "/my?a=b").headers["location"] == "/sign-in?next=%2Fmy%3Fa%3Db"
    assert get(reader(sparekey_session="half"), "/my").headers["location"] == "/sign-in/factor?next=%2Fmy"
    assert get(reader(sparekey_session="boss"), "/my").headers["location"] == "/sign-in?next=%2Fmy"
    assert get(reader(sparekey_operator="boss"), "/operator").text == "account 0"
    assert get(reader(sparekey_operator="ann"), "/operator").status == 303
    assert get(reader(), "/operator").headers["location"] == "/operator/sign-in?next=%2Foperator"


@pytest.mark.parametrize(
    "address", ["//evil.example", "/\\evil.example", "https://evil.example", "", "my", "/\n/x", "/é", "/" + "x" * 3000]
)
def test_a_redirect_never_leads_to_another_site(address: str) -> None:
    assert safe_path(address, "/my") == "/my"
    assert safe_path("/my/orders?symbol=BTCUSDT", "/my") == "/my/orders?symbol=BTCUSDT"


def test_the_theme_is_kept_and_an_unknown_one_is_not() -> None:
    one = reader()
    fields = get(one, "/").form("/theme")
    assert post(one, "/theme", {**fields, "theme": "dark"}).headers["location"] == "/"
    assert 'data-theme="dark"' in get(one, "/").text
    post(one, "/theme", {**fields, "theme": "<b>"})
    assert 'data-theme="dark"' in get(one, "/").text


def test_static_files_are_kept_for_ever_under_an_address_that_names_their_content() -> None:
    one = reader()
    address = re.findall(r'href="(/static/[^"]+\.css)"', get(one, "/").text)[0]
    sheet = get(one, address)
    assert (sheet.status, sheet.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in sheet.headers["cache-control"]
    for wrong in (address.replace("sparekey.css", "../pages/shell.py"), "/static/0000/sparekey.css", address + "x"):
        assert get(one, wrong).status == 404


def test_a_browser_gets_errors_as_pages_and_a_program_gets_them_as_json() -> None:
    one = reader()
    assert "There is no such page" in get(one, "/nowhere").words
    assert get(one, "/nowhere", accept="*/*").json["error"]["reason"] == "route-unknown"
    assert get(one, "/take").status == 405
    assert "POST" in get(one, "/take").headers["allow"]


def test_a_failure_tells_a_reader_nothing_of_the_inside() -> None:
    one = reader()
    with pytest.raises(RuntimeError):  # for the server's log; the page was sent before
        get(one, "/fail")
    assert one.last is not None
    assert one.last.status == 500
    assert "Something broke here" in one.last.words
    assert "the inside" not in one.last.text


@pytest.mark.parametrize(
    ("us", "text"),
    [(-1, "0 seconds"), (1_000_000, "1 second"), (7_200_000_000, "2 hours"), (90 * 86_400_000_000, "90 days")],
)
def test_spans_of_time_are_told_in_their_largest_unit(us: int, text: str) -> None:
    assert span(us) == text


def test_masked_keys_can_be_told_apart_by_their_end() -> None:
    assert masked("sparekey" + "x" * 50 + "abcdef") == "sparekey…abcdef"


def test_every_template_is_compiled_before_anybody_asks_for_its_page() -> None:
    shell = Shell(FixedSessions(), lambda account_id: "", lambda: 0, facts={})
    shell.prepare()
    names = shell._templates.list_templates()
    assert len(names) > 40
    assert shell._templates.cache is not None and len(shell._templates.cache) >= len(names)
