"""The pages on which a key comes into being: create, and rotate with an overlap.

A self generated key is proven on a page of its own: the private key signs a text that holds a nonce of ours. Then the
step-up, then the page that shows what was made. What is typed stays in the form whatever is refused, apart from a
private key, which never comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.access.expiry import STANDARD
from sparekey.access.public_keys import parse_public_key
from sparekey.access.state import Key
from sparekey.console.key_acts import KEY_LIMIT, KeyWish, Made, Proof
from sparekey.console.own_keys import Possession
from sparekey.console.pages.forms import Form
from sparekey.console.pages.key_desk import HOME, TYPE_NAMES, KeyDesk, chosen, listed, placed, problems_of
from sparekey.console.ready_lines import pem_name
from sparekey.console.refused import ManagementRefused
from sparekey.terms.clocktime import DAY_US, HOUR_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: Value, words: how long a key goes on beside its replacement.
OVERLAPS: Final = (
    (0, "Not at all: it ends now"),
    (HOUR_US, "1 hour"),
    (DAY_US, "1 day"),
    (7 * DAY_US, "7 days"),
    (30 * DAY_US, "30 days"),
)

Do = Callable[[Request, str, Possession | None], Awaitable[Response]]


def routes(desk: KeyDesk) -> list[Route]:
    only, own, shell = desk.shell.holders_only, desk.own, desk.shell

    # --- create ------------------------------------------------------------------------------------------------------

    def creation_page(
        request: Request,
        session: Any,
        wish: KeyWish,
        kind: str,
        errors: Mapping[str, Refusal] | None = None,
        *,
        ips: str = "",
        status: int = 200,
    ) -> Response:
        return desk.page(
            request,
            "create.html",
            session,
            status=status,
            wish=wish,
            kind=kind,
            ips=ips,
            errors=errors,
            missing=own.missing(session),
            is_full=own.account(session).keys_held >= KEY_LIMIT,
            expires_us=own.expires_without_whitelist_us(),
            my_address=desk.my_address(request),
        )

    async def show_creation(request: Request, session: Any) -> Response:
        return creation_page(request, session, KeyWish(""), "system")

    async def create(request: Request, session: Any) -> Response:
        form = await shell.form(request)
        kind, public_key = form.text("type"), form.text("public-key")
        is_private = False
        key_type = "hmac"
        if kind == "self":
            parsed = parse_public_key(public_key)
            is_private = isinstance(parsed, Refusal) and parsed.reason is Reason.PRIVATE_KEY_PASTED
            key_type = "ed25519" if isinstance(parsed, Refusal) else parsed.type
        else:
            public_key = ""
        ips = form.text("ips")
        wish = KeyWish(form.text("label"), key_type, public_key, chosen(form), listed(ips))
        kept = wish._replace(public_key="") if is_private else wish
        if form.text("act") == "add-address":
            more = desk.my_address(request)
            if more and more not in wish.ips:
                ips = "\n".join([*wish.ips, more])
            return creation_page(request, session, kept, kind, ips=ips)
        errors = placed(
            problems_of(own, label=wish.label, ips=wish.ips, public_key=public_key if kind == "self" else None)
        )
        if kind not in ("system", "self"):
            errors["type"] = Refusal(Reason.KEY_TYPE_INVALID)
        tried = own.acts.try_creation(session.account_id, wish)
        if isinstance(tried, Refusal):
            errors = {**placed([tried]), **errors}
        if errors:
            return creation_page(request, session, kept, kind, errors, ips=ips, status=422)

        async def do(request: Request, step_up_id: str, possession: Possession | None) -> Response:
            session = shell.session(request)
            try:
                made = await own.create(session, step_up_id, wish, possession)
            except ManagementRefused as refused:
                return creation_page(request, session, wish, kind, placed([refused.refusal]), ips=ips, status=422)
            return show_made(request, session, made)

        return await prove(request, session, form, wish.key_type, public_key, own.creation(wish), do, f"{HOME}/create")

    def show_made(request: Request, session: Any, made: Made) -> Response:
        if made.secret is not None:
            desk.once.keep(session.handle, made.key.key_id, made.secret)
        return shell.redirect(f"{HOME}/{made.key.key_id}/secret")

    # --- proof of possession, then step-up ---------------------------------------------------------------------------

    async def prove(
        request: Request, session: Any, form: Form, key_type: str, public_key: str, action: Any, do: Do, back: str
    ) -> Response:
        """On to the step-up, for a self generated key by way of the page that asks for a signature."""
        possession, refusal = None, None
        if public_key and (own.proof_wanted or form.text("act") != "skip-proof"):
            nonce = form.text("nonce")
            if nonce:
                try:
                    possession = own.prove(session, public_key, Proof(nonce, "".join(form.text("signature").split())))
                except ManagementRefused as refused:
                    refusal = refused.refusal
            if possession is None:
                try:
                    challenge = own.open_challenge(session, public_key)
                except ManagementRefused as refused:
                    return desk.verifying.refused(request, refused.refusal)
                again = {
                    name: values
                    for name, values in form.fields.items()
                    if name not in ("csrf", "nonce", "signature", "act")
                }
                return desk.page(
                    request,
                    "prove.html",
                    session,
                    status=200 if refusal is None else 422,
                    challenge=challenge,
                    key_type=key_type,
                    pem=pem_name(key_type),
                    fields=again,
                    refusal=refusal,
                    is_optional=not own.proof_wanted,
                    back=back,
                )

        async def go_on(request: Request, step_up_id: str) -> Response:
            return await do(request, step_up_id, possession)

        return await desk.verifying.ask(request, session, action, go_on, back=back)

    # --- rotate ------------------------------------------------------------------------------------------------------

    def rotation_page(
        request: Request,
        session: Any,
        key: Key,
        overlap_us: int = DAY_US,
        public_key: str = "",
        errors: Mapping[str, Refusal] | None = None,
        status: int = 200,
    ) -> Response:
        now_us = desk.clocks.policy_us()
        return desk.page(
            request,
            "rotate.html",
            session,
            status=status,
            shown=desk.shown(key),
            overlaps=[(us, words, STANDARD.retirement(key.dies_us, us, now_us)) for us, words in OVERLAPS],
            overlap_us=overlap_us,
            public_key=public_key,
            errors=errors,
            expires_us=STANDARD.at_birth(key.whitelist, now_us),
            type_name=TYPE_NAMES[key.key_type],
            pem=pem_name(key.key_type),
        )

    async def show_rotation(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        tried = own.acts.try_rotation(key, 0)
        if isinstance(tried, Refusal) and tried.reason is not Reason.PUBLIC_KEY_MISSING:
            return rotation_page(request, session, key, errors=placed([tried]))
        return rotation_page(request, session, key)

    async def rotate(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        form = await shell.form(request)
        overlap_us = _whole(form.text("overlap"))
        public_key = form.text("public-key") if key.key_type != "hmac" else ""
        errors = {}
        kept = public_key
        if key.key_type != "hmac":
            parsed = parse_public_key(public_key)
            if isinstance(parsed, Refusal):
                errors["public-key"] = parsed
                kept = "" if parsed.reason is Reason.PRIVATE_KEY_PASTED else public_key
        tried = own.acts.try_rotation(key, overlap_us, public_key)
        if isinstance(tried, Refusal):
            errors = {**placed([tried]), **errors}
        if errors:
            return rotation_page(request, session, key, overlap_us, kept, errors, 422)
        key_id = key.key_id

        async def do(request: Request, step_up_id: str, possession: Possession | None) -> Response:
            session = shell.session(request)
            try:
                made = await own.rotate(session, step_up_id, key_id, overlap_us, public_key, possession)
            except ManagementRefused as refused:
                held = own.neighbour(key_id)  # as it is now: it may be gone
                if held is None:
                    return desk.verifying.refused(request, refused.refusal)
                errors = placed([refused.refusal])
                return rotation_page(request, session, held, overlap_us, public_key, errors, status=422)
            return show_made(request, session, made)

        action = own.rotation(key, overlap_us, public_key)
        return await prove(request, session, form, key.key_type, public_key, action, do, f"{HOME}/{key.key_id}/rotate")

    return [
        Route(f"{HOME}/create", only(show_creation), methods=["GET"]),
        Route(f"{HOME}/create", only(create), methods=["POST"]),
        Route(f"{HOME}/{{key_id}}/rotate", only(show_rotation), methods=["GET"]),
        Route(f"{HOME}/{{key_id}}/rotate", only(rotate), methods=["POST"]),
    ]


def _whole(text: str) -> int:
    """-1, which no overlap is, for what is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else -1
