"""Every reason has a page, its links lead somewhere, and the list can be searched without a script."""

from __future__ import annotations

import asyncio
import re

from sparekey.console.explained import Explanations
from sparekey.console.pages import reasons
from sparekey.console.pages.shell import NobodySignedIn, Shell
from sparekey.terms.reasons import Reason
from tests.page_reader import PageReader, Seen

EXPLANATIONS = Explanations()
#: Of other topics, which their own tests open.
ELSEWHERE = re.compile(r"/(my|markets|sign-in|sign-up|static|api|sparekey|readyz)?(/|$|\?)")


def reader() -> PageReader:
    shell = Shell(NobodySignedIn(), lambda account_id: "", lambda: 0, facts={})
    return PageReader(shell.application(reasons.routes(shell, EXPLANATIONS)))


def opened(*addresses: str) -> list[Seen]:
    async def run() -> list[Seen]:
        one = reader()
        return [await one.get(address) for address in addresses]

    return asyncio.run(run())


def links(page: Seen) -> set[str]:
    return {link for link in re.findall(r'href="([^"#]*)', page.text) if link and not ELSEWHERE.match(link)}


def test_every_reason_has_a_page_with_its_cause_its_fix_and_its_answer() -> None:
    for reason, page in zip(Reason, opened(*(reason.page for reason in Reason)), strict=True):
        explained = EXPLANATIONS.of(reason.slug)
        assert explained is not None
        assert page.status == 200
        assert page.by_id("slug") == reason.slug
        assert page.by_id("cause") == "".join(part.text for part in explained.cause)
        assert page.by_id("fix") == "".join(part.text for part in explained.fix)
        assert page.by_id("answer") == (explained.body if explained.met_by_calls else None)
        assert page.by_id("recipe") == (explained.recipe or None)


def test_no_link_of_these_pages_leads_nowhere() -> None:
    pages = opened("/reasons", *(reason.page for reason in Reason))
    found = set().union(*(links(page) for page in pages))
    assert {reason.page for reason in Reason} <= found
    assert [page.address for page in opened(*sorted(found)) if page.status != 200] == []
    index = pages[0].text
    anchors = {anchor for page in pages for anchor in re.findall(r'href="/reasons#([^"]+)', page.text)}
    assert anchors and all(f'id="{anchor}"' in index for anchor in anchors)


def test_a_pasted_reply_finds_what_it_may_mean() -> None:
    query = "%7B%22code%22%3A-2014%2C%22msg%22%3A%22API-key+format+invalid.%22%7D"
    (page,) = opened(f"/reasons?q={query}")
    assert "1 reason for" in page.words
    assert Reason.KEY_MALFORMED.page in page.text
    assert Reason.KEY_UNKNOWN.page not in page.text


def test_what_is_searched_for_is_shown_as_text_and_nothing_more() -> None:
    (page,) = opened("/reasons?q=%3Cscript%3Ealert(1)%3C/script%3E%22%3E")
    assert page.status == 200
    assert "<script>alert" not in page.text
    assert "Nothing matches" in page.words


def test_a_search_of_any_length_is_answered() -> None:
    (page,) = opened("/reasons?q=" + "a" * 60_000)
    assert page.status == 200 and "Nothing matches" in page.words


def test_a_reason_that_does_not_exist_is_a_page_that_says_so() -> None:
    for page in opened("/reasons/key-lost", "/reasons/..%2f", "/reasons/Key-Expired"):
        assert page.status == 404
        assert "There is no such page" in page.words


def test_the_list_of_all_reasons_is_small_enough_for_a_phone() -> None:
    (page,) = opened("/reasons")
    assert len(page.body) < 60_000
