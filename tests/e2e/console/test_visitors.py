"""A visitor misses nothing that goes wrong in the browser: each kind of fault is made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Route

from tests.e2e.console.visitors import Visitor, manners

ORIGIN = "http://localhost:1"  # nothing listens: the answers are given here
CSP = "default-src 'none'; img-src data:; script-src 'nonce-ours'"


@pytest.fixture
def meet(browser: Browser) -> Iterator[Callable[..., list[str]]]:
    """`meet(html)` → what a visitor complains of on that page."""
    visitor = Visitor(browser.new_context(**manners(ORIGIN, "203.0.113.1")), ORIGIN, "203.0.113.1")

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        status = {"/": 200, "/refused": 403, "/broken": 500}.get(path, 404)
        route.fulfill(status=status, body=bodies.get(path, ""), content_type="text/html", headers={**headers})

    bodies: dict[str, str] = {}
    headers = {"Content-Security-Policy": CSP}
    visitor.page.route("**/*", answer)

    def go(html: str, path: str = "/", *, look: bool = False) -> list[str]:
        bodies[path] = f"<!doctype html><title>x</title><link rel=icon href=data:,><main>{html}</main>"
        visitor.open(path)
        visitor.page.wait_for_load_state()
        visitor.page.evaluate("new Promise(done => setTimeout(done))")
        if look:
            visitor.refusal()
        return visitor.complaints()

    yield go
    visitor.close()


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<script nonce=ours>console.error('alas')</script>", "alas"),
        ("<script nonce=ours>nothing.here()</script>", "nothing is not defined"),
        ("<script nonce=ours>Promise.reject(new Error('unheard'))</script>", "unheard"),
        ("<script>1</script>", "Content Security Policy"),
        ("<p style='color: red'>red</p>", "Content Security Policy"),
        ("<img src=/missing>", "Content Security Policy"),
        ("<script nonce=ours src=/missing></script>", "was answered 404"),
    ],
)
def test_a_fault_of_a_page_is_noticed(meet: Callable[..., list[str]], html: str, complaint: str) -> None:
    assert any(complaint in each for each in meet(html))


def test_a_server_error_is_noticed(meet: Callable[..., list[str]]) -> None:
    assert any("was answered 500" in each for each in meet("", "/broken"))


def test_a_refusal_is_a_fault_unless_somebody_reads_it(meet: Callable[..., list[str]]) -> None:
    assert any("was answered 403" in each for each in meet("<p role=alert>no</p>", "/refused"))
    assert meet("<p role=alert>no</p>", "/refused", look=True) == []


def test_a_page_without_fault_is_not_complained_of(meet: Callable[..., list[str]]) -> None:
    assert meet("<p>fine</p>") == []
