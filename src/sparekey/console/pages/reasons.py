"""Pages on why something was refused: all reasons in the order of asking, with a search, and one page for each."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.console.explained import Explanations, by_group, title_of
from sparekey.console.pages.shell import Shell
from sparekey.terms.reasons import Reason

#: Of a search: a pasted reply fits.
_LONGEST_SEARCH = 500


def routes(shell: Shell, explanations: Explanations) -> list[Route]:
    order = list(Reason)

    async def show_all(request: Request) -> Response:
        text = request.query_params.get("q", "").strip()[:_LONGEST_SEARCH]
        found = explanations.search(text)
        return shell.page(request, "reasons/index.html", text=text, count=len(found), groups=by_group(found))

    async def show_one(request: Request) -> Response:
        explained = explanations.of(request.path_params["slug"])
        if explained is None:
            raise HTTPException(404)
        at = order.index(explained.reason)
        return shell.page(
            request,
            "reasons/reason.html",
            one=explained,
            preface=explanations.preface,
            title_of=title_of,
            before=order[at - 1] if at else None,
            after=order[at + 1] if at + 1 < len(order) else None,
        )

    return [Route("/reasons", show_all), Route("/reasons/{slug}", show_one)]
