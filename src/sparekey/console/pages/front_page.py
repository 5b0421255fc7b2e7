"""What a browser finds at the console's address: what runs here, and where to go on."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.console.pages.shell import Shell


def routes(shell: Shell) -> list[Route]:
    async def show(request: Request) -> Response:
        if shell.session(request) is not None:
            return shell.redirect("/my")
        return shell.page(request, "front.html")

    return [Route("/", show)]
