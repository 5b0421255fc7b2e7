"""Style sheet, scripts and icons: read once, served under an address that names their content, and so kept for ever.

One digest stands for all of them, so that a script may import its neighbour by a relative address.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).parent.parent / "static"
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class StaticFiles:
    def __init__(self) -> None:
        paths = sorted(path for path in _FOLDER.rglob("*") if path.suffix in _KINDS)
        self._files = {path.relative_to(_FOLDER).as_posix(): (_KINDS[path.suffix], path.read_bytes()) for path in paths}
        digest = hashlib.sha256()
        for name, (_, content) in self._files.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        self._digest = digest.hexdigest()[:16]

    def address(self, name: str) -> str:
        """Raises KeyError for a file that is not there: a page must not name one."""
        self._files[name]
        return f"/static/{self._digest}/{name}"

    def route(self) -> Route:
        return Route("/static/{digest}/{name:path}", self._serve)

    async def _serve(self, request: Request) -> Response:
        found = self._files.get(request.path_params["name"])
        if found is None or request.path_params["digest"] != self._digest:
            raise HTTPException(404)
        kind, content = found
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        return Response(content, media_type=kind, headers=headers)
