"""The pages that change a key: restrictions with their consequences, narrowing, disable, enable, delete, and panic.

Consequences are told before anything is saved, by the same rules that will decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.access.events import KeyEdited
from sparekey.access.state import Key
from sparekey.console.key_acts import Restrictions
from sparekey.console.least_privilege import narrowest, needs_of
from sparekey.console.pages.forms import Form
from sparekey.console.pages.key_desk import HOME, TITLES, KeyDesk, chosen, listed, placed, problems_of
from sparekey.console.refused import ManagementRefused
from sparekey.terms.permissions import Permission, names_of
from sparekey.terms.refusals import Refusal


class Consequence(NamedTuple):
    """One thing that saving would do. `kind` is good, warn or plain; `time_us` follows the text, if not None."""

    text: str
    kind: str = "plain"
    time_us: int | None = None


def routes(desk: KeyDesk) -> list[Route]:
    only, own, shell = desk.shell.holders_only, desk.own, desk.shell

    # --- edit --------------------------------------------------------------------------------------------------------

    def edit_page(
        request: Request,
        session: Any,
        key: Key,
        *,
        label: str | None = None,
        permissions: Sequence[str] | None = None,
        ips: str | None = None,
        errors: Mapping[str, Refusal] | None = None,
        status: int = 200,
    ) -> Response:
        return desk.page(
            request,
            "edit.html",
            session,
            status=status,
            shown=desk.shown(key),
            label=key.label if label is None else label,
            chosen=names_of(Permission(key.permissions)) if permissions is None else permissions,
            ips="\n".join(key.whitelist) if ips is None else ips,
            errors=errors,
            expires_us=own.expires_without_whitelist_us(),
            my_address=desk.my_address(request),
        )

    async def show_edit(request: Request, session: Any) -> Response:
        return edit_page(request, session, desk.key_of(request, session))

    async def edit(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        form = await shell.form(request)
        label, permissions, ips = form.text("label"), chosen(form), form.text("ips")
        typed: dict[str, Any] = {"label": label, "permissions": permissions, "ips": ips}
        wanted = _only_changes(key, Restrictions(label, permissions, listed(ips)))
        act = form.text("act")
        if act == "change":
            return edit_page(request, session, key, **typed)
        if act == "add-address":
            more = desk.my_address(request)
            if more and more not in listed(ips):
                typed["ips"] = "\n".join([*listed(ips), more])
            return edit_page(request, session, key, **typed)
        errors = placed(problems_of(own, label=label, ips=listed(ips)))
        tried = own.acts.try_edit(key, wanted)
        if isinstance(tried, Refusal):
            errors = {**placed([tried]), **errors}
        if errors:
            return edit_page(request, session, key, errors=errors, status=422, **typed)
        if tried is None:
            return shell.done(request, f"{HOME}/{key.key_id}", "Nothing was changed: the key is so already.", "warn")
        if act != "save":
            return desk.page(
                request,
                "review.html",
                session,
                shown=desk.shown(key),
                consequences=consequences_of(key, tried),
                fields=_fields(form),
            )
        return await save(request, session, key, wanted, f"{HOME}/{key.key_id}/edit")

    async def save(request: Request, session: Any, key: Key, wanted: Restrictions, back: str) -> Response:
        key_id = key.key_id

        async def do(request: Request, step_up_id: str) -> Response:
            session = shell.session(request)
            try:
                await own.change(session, step_up_id, key_id, wanted)
            except ManagementRefused as refused:
                return desk.verifying.refused(request, refused.refusal)
            return shell.done(request, f"{HOME}/{key_id}", "The key was changed.")

        return await desk.verifying.ask(request, session, own.edit(key, wanted), do, back=back)

    async def narrow(request: Request, session: Any) -> Response:
        """Take from the key what its calls have not needed in the days that the call log keeps."""
        key = desk.key_of(request, session)
        await shell.form(request)
        called = await asyncio.to_thread(desk.calls.routes_called, key.api_key)
        enough = narrowest(needs_of(Permission(key.permissions), called, desk.permissions_of_routes))
        wanted = Restrictions(permissions=tuple(enough))
        tried = own.acts.try_edit(key, wanted)
        if isinstance(tried, Refusal):
            return desk.verifying.refused(request, tried)
        back = f"{HOME}/{key.key_id}"
        if tried is None:
            return shell.done(request, back, "The key has no permission that it did not need.", "warn")
        return await save(request, session, key, wanted, back)

    # --- disable, enable, delete -------------------------------------------------------------------------------------

    async def disable(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        await shell.form(request)
        try:
            await own.disable(session, key.key_id)
        except ManagementRefused as refused:
            return desk.verifying.refused(request, refused.refusal)
        return shell.done(request, f"{HOME}/{key.key_id}", f"“{key.label}” is disabled: its calls are refused.")

    async def enable(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        await shell.form(request)
        key_id, address = key.key_id, f"{HOME}/{key.key_id}"
        if desk.shown(key).is_over:
            return desk.verifying.refused(request, key.end)

        async def do(request: Request, step_up_id: str) -> Response:
            try:
                await own.enable(shell.session(request), step_up_id, key_id)
            except ManagementRefused as refused:
                return desk.verifying.refused(request, refused.refusal)
            return shell.done(request, address, "The key is enabled.")

        return await desk.verifying.ask(request, session, own.enabling(key), do, back=address)

    def deletion_page(request: Request, session: Any, key: Key, typed: str = "", *, is_wrong: bool = False) -> Response:
        status = 422 if is_wrong else 200
        return desk.page(
            request, "delete.html", session, status=status, shown=desk.shown(key), typed=typed, is_wrong=is_wrong
        )

    async def show_deletion(request: Request, session: Any) -> Response:
        return deletion_page(request, session, desk.key_of(request, session))

    async def delete(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        form = await shell.form(request)
        typed = form.text("label").strip()
        if typed != key.label:
            return deletion_page(request, session, key, typed[:200], is_wrong=True)
        key_id, label = key.key_id, key.label

        async def do(request: Request, step_up_id: str) -> Response:
            try:
                await own.delete(shell.session(request), step_up_id, key_id)
            except ManagementRefused as refused:
                return desk.verifying.refused(request, refused.refusal)
            return shell.done(request, HOME, f"“{label}” is deleted, and its secret destroyed.")

        return await desk.verifying.ask(request, session, own.deletion(key), do, back=f"{HOME}/{key_id}")

    # --- panic -------------------------------------------------------------------------------------------------------

    async def show_panic(request: Request, session: Any) -> Response:
        keys = [desk.shown(key) for key in own.keys(session)]
        active = [one for one in keys if one.key.status == "active" and not one.is_over]
        return desk.page(request, "panic.html", session, active=active)

    async def panic(request: Request, session: Any) -> Response:
        await shell.form(request)
        try:
            stopped = await own.panic(session)
        except ManagementRefused as refused:
            return desk.verifying.refused(request, refused.refusal)
        told = f"{len(stopped)} key{'' if len(stopped) == 1 else 's'} stopped. Each is enabled again by itself."
        return shell.done(request, HOME, told if stopped else "No key was active.", "warn")

    one = f"{HOME}/{{key_id}}"
    return [
        Route(f"{HOME}/panic", only(show_panic), methods=["GET"]),
        Route(f"{HOME}/panic", only(panic), methods=["POST"]),
        Route(f"{one}/edit", only(show_edit), methods=["GET"]),
        Route(f"{one}/edit", only(edit), methods=["POST"]),
        Route(f"{one}/narrow", only(narrow), methods=["POST"]),
        Route(f"{one}/disable", only(disable), methods=["POST"]),
        Route(f"{one}/enable", only(enable), methods=["POST"]),
        Route(f"{one}/delete", only(show_deletion), methods=["GET"]),
        Route(f"{one}/delete", only(delete), methods=["POST"]),
    ]


def consequences_of(key: Key, edited: KeyEdited) -> list[Consequence]:
    """What this edit does to this key, as its holder should know before saving it."""
    found = []
    if edited.label != key.label:
        found.append(Consequence(f"The label becomes “{edited.label}”."))
    before, after = Permission(key.permissions), Permission(edited.permissions)
    found += [Consequence(f"It may from now on: {TITLES[name]}.", "warn") for name in names_of(after & ~before)]
    lost = names_of(before & ~after)
    if "withdrawals" in lost and not edited.whitelist and key.whitelist:
        lost.remove("withdrawals")
        found.append(Consequence("Removing the whitelist takes withdrawals away.", "warn"))
    found += [Consequence(f"It may no longer: {TITLES[name]}.", "good") for name in lost]
    if edited.whitelist != key.whitelist:
        if not edited.whitelist:
            found.append(Consequence("Any address may use it.", "warn"))
        elif not key.whitelist:
            found.append(Consequence(f"It is used from {', '.join(edited.whitelist)} alone.", "good"))
        else:
            added = [ip for ip in edited.whitelist if ip not in key.whitelist]
            gone = [ip for ip in key.whitelist if ip not in edited.whitelist]
            if added:
                found.append(Consequence(f"It is accepted from {', '.join(added)}, too.", "warn"))
            if gone:
                found.append(Consequence(f"It is no longer accepted from {', '.join(gone)}.", "good"))
    if edited.expires_us != key.expires_us:
        if edited.expires_us is None:
            found.append(Consequence("With a whitelist it does not expire any more.", "good"))
        else:
            found.append(Consequence("Without a whitelist this key expires on", "warn", edited.expires_us))
    return found


def _only_changes(key: Key, wanted: Restrictions) -> Restrictions:
    """What differs from the key as it is. So a step-up says what changes; and where only the whitelist is emptied,
    withdrawals go with it instead of holding it."""
    label = None if wanted.label is not None and wanted.label.strip() == key.label else wanted.label
    ips = None if wanted.ips is not None and tuple(wanted.ips) == key.whitelist else wanted.ips
    permissions = wanted.permissions
    if permissions is not None and set(permissions) == set(names_of(Permission(key.permissions))):
        permissions = None
    return Restrictions(label, permissions, ips)


def _fields(form: Form) -> dict[str, list[str]]:
    return {name: values for name, values in form.fields.items() if name not in ("csrf", "act")}
