"""The `sparekey` command. All subcommands but `up` and `log verify` ask a running server's management API: as the
operator, and in guarded mode as the account's holder where the operator may not act."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

import click

from sparekey.as_holder import Holder, read_unseen
from sparekey.asking import Refused, Server, quoted
from sparekey.settings import DEFAULT_TLS_PORT, DURABILITIES, MODES, PROFILES, STEP_UPS, Settings, delivery_in

DEFAULT_DATA = ".sparekey"
PERMISSIONS = (
    "reading",
    "spot-and-margin-trading",
    "margin-loan",
    "futures",
    "withdrawals",
    "internal-transfer",
    "universal-transfer",
)

#: A time in a refusal's message.
_TIME_TOLD = re.compile(r"\b(\d{12,16}) \(ms\)")

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def main() -> None:
    """Entry point: errors become one line (or one JSON document under --json) and exit code 1, never a traceback."""
    try:
        commands(standalone_mode=False)
    except Refused as refusal:
        _fail(refusal.reason, refusal.message)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.MissingParameter as error:
        error.show()
        sys.exit(error.exit_code)
    except click.BadParameter as error:
        # A value that cannot be, such as an unknown permission: a refusal like the server's own.
        _fail("value-invalid", error.format_message())
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, say) has gone; point stdout at nothing so that the exit stays silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail(reason: str, message: str) -> NoReturn:
    if "--json" in sys.argv[1:]:
        click.echo(json.dumps({"error": {"reason": reason, "message": message}}))
    else:
        told = _TIME_TOLD.sub(lambda found: f"{found[1]} ({_iso(int(found[1]))})", message)
        click.echo(f"sparekey: {told}", err=True)
    sys.exit(1)


# --- options that stand after every subcommand ----------------------------------------------------------------------


def for_server(function: Decorated) -> Decorated:
    """`--data DIR` and `--json`, accepted by every subcommand."""
    data = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_DATA,
        envvar="SPAREKEY_DATA",
        show_default=True,
        help="Data directory of the server (also SPAREKEY_DATA).",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    return data(as_json(function))


class Who(NamedTuple):
    """`as_holder`: ask as the account's holder, also where the operator may act."""

    as_holder: bool
    factor: str

    def asks(self, data: Path, email: str, as_operator: Callable[[Server], Any], own: Callable[[Holder], Any]) -> Any:
        """Ask as the operator, or as the holder of this account: where the operator may not, or where it was typed."""
        if not self.as_holder:
            try:
                return as_operator(Server(data))
            except Refused as refused:
                if refused.reason != "mode-guarded":
                    raise
                click.echo("In guarded mode keys and factors are their holder's: sign in as the holder.", err=True)
        url = os.environ.get("SPAREKEY_URL") or Server(data).url
        address = email or click.prompt("E-mail address of the account", err=True)
        with Holder(url, address, self.factor) as holder:
            return own(holder)


def for_holder(function: Decorated) -> Decorated:
    """`--as-holder` and `--factor`, for what an account's holder does as well as the operator of a sandbox."""

    @functools.wraps(function)
    def asked(as_holder: bool, factor: str | None, **options: Any) -> Any:
        return function(who=Who(as_holder, factor or ""), **options)

    flag = click.option(
        "--as-holder", is_flag=True, help="Sign in as the account's holder (always done in guarded mode)."
    )
    choice = click.option(
        "--factor",
        type=click.Choice(("totp", "sms", "recovery")),
        default=None,
        help="Second factor to prove oneself with, as the holder.",
    )
    return cast(Decorated, flag(choice(asked)))


def of_account(function: Decorated) -> Decorated:
    """`--account`, for commands that name a key, which tells the operator enough."""
    return click.option(
        "--account", default="", envvar="SPAREKEY_EMAIL", metavar="EMAIL", help="Whose key it is, as its holder."
    )(function)


def _show(document: Any, as_json: bool, lines: Callable[[Any], Sequence[str]]) -> None:
    if as_json:
        click.echo(json.dumps(document))
    else:
        for line in lines(document):
            click.echo(line)


def _fields(document: Mapping[str, Any]) -> list[str]:
    width = max(len(name) for name in document)
    return [f"{name.ljust(width)}  {_plain(name, value)}" for name, value in document.items()]


def _plain(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith(("Ms", "Time")):
        return f"{value} ({_iso(value)})"
    return "-" if value is None else str(value)


def _iso(ms: int) -> str:
    """A time as people read it, in UTC."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):  # after the year 9999, where a clock may be advanced to
        return "far ahead"


# --- the commands ----------------------------------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="sparekey")
def commands() -> None:
    """Sparekey: the exchange's side of an API key, on your own machine. Compatible with the Binance API."""


@commands.command()
@click.option(
    "--data", type=click.Path(path_type=Path), default=DEFAULT_DATA, envvar="SPAREKEY_DATA", show_default=True
)
@click.option("--host", default="127.0.0.1", envvar="SPAREKEY_HOST", show_default=True)
@click.option("--port", type=int, default=8080, envvar="SPAREKEY_PORT", show_default=True, help="0 takes any free one.")
@click.option("--profile", type=click.Choice(PROFILES), default="classic", envvar="SPAREKEY_PROFILE", show_default=True)
@click.option("--api-date", default="", envvar="SPAREKEY_API_DATE", help="Serve the routes that existed that day.")
@click.option("--market", default="simulated", envvar="SPAREKEY_MARKET", help="simulated, none or replay:FILE.")
@click.option(
    "--replay-end",
    type=click.Choice(("halt", "loop", "simulated")),
    default="halt",
    envvar="SPAREKEY_REPLAY_END",
    help="What follows the last recorded trade.",
)
@click.option("--seed", type=int, default=1, envvar="SPAREKEY_SEED", show_default=True)
@click.option(
    "--durability", type=click.Choice(DURABILITIES), default="full", envvar="SPAREKEY_DURABILITY", show_default=True
)
@click.option("--mode", type=click.Choice(MODES), default="sandbox", envvar="SPAREKEY_MODE", show_default=True)
@click.option("--env-file", type=click.Path(path_type=Path), default=None, envvar="SPAREKEY_ENV_FILE")
@click.option("--wire", type=click.Choice(("tolerant", "strict")), default="tolerant", envvar="SPAREKEY_WIRE")
@click.option("--trusted-proxy", "trusted_proxies", multiple=True, help="Address or CIDR whose X-Forwarded-For counts.")
@click.option("--tls", is_flag=True, envvar="SPAREKEY_TLS", help="Serve TLS, too, as Binance's host names.")
@click.option(
    "--tls-port",
    "tls_ports",
    type=int,
    multiple=True,
    default=(DEFAULT_TLS_PORT,),
    envvar="SPAREKEY_TLS_PORT",
    show_default=True,
    help="Repeat for several: clients that insist on Binance's hosts call 443 and 9443.",
)
@click.option(
    "--step-up",
    type=click.Choice(STEP_UPS),
    default="factor+email",
    envvar="SPAREKEY_STEP_UP",
    show_default=True,
    help="What holders prove before a sensitive act in the console.",
)
@click.option(
    "--public-url",
    default="",
    envvar="SPAREKEY_PUBLIC_URL",
    help="How people reach the console, for links in letters. Default: as this machine does.",
)
def up(wire: str, **options: Any) -> None:
    """Start the server: a funded demo account, three keys, a live market.

    Letters wait in the operator's outbox, unless SPAREKEY_SMTP_URL (smtp://user:password@host:587, with
    SPAREKEY_MAIL_FROM) and SPAREKEY_SMS_URL (an Apprise URL with {to} in the number's place) say who delivers them.
    """
    from sparekey.assemble import StartRefused, run  # late: the other commands start in a tenth of the time without it

    try:
        settings = Settings(wire_strict=wire == "strict", **options, **delivery_in(os.environ))
        run(settings)
    except (ValueError, StartRefused) as error:
        raise Refused("start-refused", str(error)) from None


@commands.group()
def accounts() -> None:
    """Accounts: create, show, fund; identity check, second factor, API access; erase."""


@accounts.command("create")
@click.argument("email")
@click.option("--kyc", type=click.Choice(("none", "pending", "approved")), default="none", show_default=True)
@click.option("--totp", is_flag=True, help="Turn on an authenticator and print its secret.")
@click.option("--fund", multiple=True, metavar="ASSET=AMOUNT")
@for_server
def accounts_create(email: str, kyc: str, totp: bool, fund: tuple[str, ...], data: Path, as_json: bool) -> None:
    """Create an account."""
    body = {"email": email, "kyc": kyc, "totp": totp, "fund": _amounts(fund)}
    _show(Server(data).post("/accounts", body), as_json, _fields)


@accounts.command("show")
@click.argument("email")
@for_server
def accounts_show(email: str, data: Path, as_json: bool) -> None:
    """Show an account."""
    _show(Server(data).get(f"/accounts/{quoted(email)}"), as_json, _fields)


@accounts.command("fund")
@click.argument("email")
@click.argument("amounts", nargs=-1, required=True, metavar="ASSET=AMOUNT...")
@for_server
def accounts_fund(email: str, amounts: tuple[str, ...], data: Path, as_json: bool) -> None:
    """Credit an account from nowhere (sandbox)."""
    document = Server(data).post(f"/accounts/{quoted(email)}/fund", {"fund": _amounts(amounts)})
    _show(document, as_json, lambda funded: [f"{asset}  free {free}" for asset, free in funded["free"].items()])


@accounts.command("kyc")
@click.argument("email")
@click.argument("state", type=click.Choice(("none", "pending", "approved", "rejected")))
@for_server
def accounts_kyc(email: str, state: str, data: Path, as_json: bool) -> None:
    """Set the state of the identity check. Unless it is approved, trading and withdrawing keys stop."""
    _show(Server(data).put(f"/accounts/{quoted(email)}/kyc", {"kyc": state}), as_json, _fields)


@accounts.command("suspend")
@click.argument("email")
@click.option("--reason", required=True, help="Why; it is journaled.")
@for_server
def accounts_suspend(email: str, reason: str, data: Path, as_json: bool) -> None:
    """Stop all API access of an account, until it is restored."""
    _show(Server(data).post(f"/accounts/{quoted(email)}/suspend", {"reason": reason}), as_json, _fields)


@accounts.command("restore")
@click.argument("email")
@click.option("--reason", required=True, help="Why; it is journaled.")
@for_server
def accounts_restore(email: str, reason: str, data: Path, as_json: bool) -> None:
    """Lift a suspension."""
    _show(Server(data).post(f"/accounts/{quoted(email)}/restore", {"reason": reason}), as_json, _fields)


@accounts.command("broker")
@click.argument("email")
@click.argument("state", type=click.Choice(("on", "off")))
@for_server
def accounts_broker(email: str, state: str, data: Path, as_json: bool) -> None:
    """Say whether an account may have sub-accounts of its customers."""
    _show(Server(data).put(f"/accounts/{quoted(email)}/broker", {"broker": state == "on"}), as_json, _fields)


@accounts.command("erase")
@click.argument("email")
@for_server
def accounts_erase(email: str, data: Path, as_json: bool) -> None:
    """Delete an account's keys and destroy what is sealed of it, for good. It must have no open orders."""
    document = Server(data).delete(f"/accounts/{quoted(email)}")
    _show(document, as_json, lambda row: [f"erased the account {row['accountId']}"])


@accounts.group("2fa")
def accounts_2fa() -> None:
    """The second factor, an authenticator."""


@accounts_2fa.command("add")
@click.argument("email")
@for_holder
@for_server
def accounts_2fa_add(email: str, who: Who, data: Path, as_json: bool) -> None:
    """Turn on an authenticator and print its secret, this once."""

    def own(holder: Holder) -> Any:
        offered = holder.post("/me/factors/totp", {"password": holder.password})
        click.echo(f"Put this secret into an authenticator: {offered['secret']}", err=True)
        me = holder.post("/me/factors/totp/confirm", {"code": read_unseen("", "Code that it shows")})
        return {"accountId": me["accountId"], "email": me["email"], "totpSecret": offered["secret"]}

    document = who.asks(data, email, lambda server: server.post(f"/accounts/{quoted(email)}/totp", {}), own)
    _show(document, as_json, _fields)


@accounts_2fa.command("remove")
@click.argument("email")
@for_holder
@for_server
def accounts_2fa_remove(email: str, who: Who, data: Path, as_json: bool) -> None:
    """Turn the authenticator off; trading and withdrawing keys stop."""

    def own(holder: Holder) -> Any:
        me = holder.delete("/me/factors/totp")
        return {name: me[name] for name in ("accountId", "email", "kyc", "factors", "keys", "apiAccess")}

    path = f"/accounts/{quoted(email)}/totp"
    _show(who.asks(data, email, lambda server: server.delete(path), own), as_json, _fields)


@accounts.group("verification")
def accounts_verification() -> None:
    """Applications for identity checks, which wait for a decision."""


@accounts_verification.command("list")
@for_server
def verification_list(data: Path, as_json: bool) -> None:
    """List the applications that wait, the longest first."""
    documents = Server(data).get("/verifications")
    _show(documents, as_json, lambda rows: [_waiting_line(row) for row in rows] or ["nobody waits"])


@accounts_verification.command("show")
@click.argument("email")
@for_server
def verification_show(email: str, data: Path, as_json: bool) -> None:
    """Show what an account's holder handed in; the photograph is on the console's page."""
    _show(Server(data).get(f"/accounts/{quoted(email)}/verification"), as_json, _fields)


def _signed(function: Decorated) -> Decorated:
    application = click.option(
        "--application", default="", help="The one that was looked at (verification show); else the newest."
    )
    return application(
        click.option("--by", required=True, envvar="SPAREKEY_OPERATOR", help="Your name or initials; journaled.")(
            function
        )
    )


@accounts_verification.command("approve")
@click.argument("email")
@_signed
@for_server
def verification_approve(email: str, application: str, by: str, data: Path, as_json: bool) -> None:
    """Approve an application that waits."""
    _show(_decide(Server(data), email, application, "approved", by, ""), as_json, _fields)


@accounts_verification.command("reject")
@click.argument("email")
@click.option("--reason", required=True, help="Why; the holder is told, and it is journaled.")
@_signed
@for_server
def verification_reject(email: str, reason: str, application: str, by: str, data: Path, as_json: bool) -> None:
    """Reject an application that waits."""
    _show(_decide(Server(data), email, application, "rejected", by, reason), as_json, _fields)


def _decide(server: Server, email: str, application: str, decision: str, by: str, reason: str) -> Any:
    path = f"/accounts/{quoted(email)}/verification"
    looked_at = application or server.get(path)["application"]
    return server.put(path, {"application": looked_at, "decision": decision, "by": by, "reason": reason})


@commands.group()
def keys() -> None:
    """API keys: create, list, show, edit, rotate, disable, enable, delete; who calls them."""


def for_a_public_key(function: Decorated) -> Decorated:
    """`--public-key FILE`, and the two options that prove possession of its private half."""
    public_key = click.option(
        "--public-key",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="PEM file; needed for rsa and ed25519.",
    )
    nonce = click.option("--nonce", default="", help="Of a challenge (keys challenge) that was signed.")
    signature = click.option("--signature", default="", help="The challenge's signature, base64.")
    return public_key(nonce(signature(function)))


def _public_key_fields(public_key: Path | None, nonce: str, signature: str) -> dict[str, Any]:
    return {
        "publicKey": None if public_key is None else public_key.read_bytes().decode("utf-8", "replace"),
        "proof": {"nonce": nonce, "signature": signature} if nonce or signature else None,
    }


@keys.command("create")
@click.option("--account", required=True, metavar="EMAIL")
@click.option("--label", required=True)
@click.option("--type", "key_type", type=click.Choice(("hmac", "rsa", "ed25519")), default="hmac", show_default=True)
@for_a_public_key
@click.option("--permission", multiple=True, type=click.Choice(PERMISSIONS), help="Repeat for several.")
@click.option("--ip", multiple=True, metavar="CIDR", help="Whitelist entry; repeat for several.")
@for_holder
@for_server
def keys_create(
    account: str,
    label: str,
    key_type: str,
    public_key: Path | None,
    nonce: str,
    signature: str,
    permission: tuple[str, ...],
    ip: tuple[str, ...],
    who: Who,
    data: Path,
    as_json: bool,
) -> None:
    """Create a key; an HMAC key's secret is shown this once."""
    body = {
        "label": label,
        "type": key_type,
        "permissions": list(permission),
        "ips": list(ip),
    } | _public_key_fields(public_key, nonce, signature)
    path = f"/accounts/{quoted(account)}/keys"
    created = who.asks(
        data, account, lambda server: server.post(path, body), lambda holder: holder.post("/me/keys", body)
    )
    _show(created, as_json, _fields)


@keys.command("list")
@click.option("--account", required=True, metavar="EMAIL")
@for_holder
@for_server
def keys_list(account: str, who: Who, data: Path, as_json: bool) -> None:
    """List the keys of an account."""
    path = f"/accounts/{quoted(account)}/keys"
    documents = who.asks(data, account, lambda server: server.get(path), lambda holder: holder.get("/me/keys"))
    _show(documents, as_json, lambda rows: [_key_line(row) for row in rows] or ["no keys"])


@keys.command("show")
@click.argument("api_key")
@of_account
@for_holder
@for_server
def keys_show(api_key: str, account: str, who: Who, data: Path, as_json: bool) -> None:
    """Show a key (never its secret)."""
    _show(_of_key(who, data, account, api_key, "GET"), as_json, _fields)


@keys.command("edit")
@click.argument("api_key", metavar="APIKEY")
@click.option("--label")
@click.option("--permission", multiple=True, type=click.Choice(PERMISSIONS), help="Replaces all; reading is implied.")
@click.option("--ip", multiple=True, metavar="CIDR", help="Whitelist entry; those given replace all.")
@click.option("--no-ip", is_flag=True, help="Take the whitelist away: the key expires after 90 days.")
@of_account
@for_holder
@for_server
def keys_edit(
    api_key: str,
    label: str | None,
    permission: tuple[str, ...],
    ip: tuple[str, ...],
    no_ip: bool,
    account: str,
    who: Who,
    data: Path,
    as_json: bool,
) -> None:
    """Change a key's label, permissions or whitelist; what is given replaces the whole of it."""
    if ip and no_ip:
        raise Refused("request-invalid", "--ip sets a whitelist and --no-ip takes it away; give one of them")
    body: dict[str, Any] = {}
    if label is not None:
        body["label"] = label
    if permission:
        body["permissions"] = list(permission)
    if ip or no_ip:
        body["ips"] = list(ip)
    if not body:
        raise Refused("request-invalid", "nothing to change; give --label, --permission, --ip or --no-ip")
    _show(_of_key(who, data, account, api_key, "PATCH", body=body), as_json, _fields)


@keys.command("rotate")
@click.argument("api_key", metavar="APIKEY")
@click.option(
    "--overlap", required=True, metavar="DURATION", help="How long the old key lives on: 24h, 7d; 0s ends it."
)
@for_a_public_key
@of_account
@for_holder
@for_server
def keys_rotate(
    api_key: str,
    overlap: str,
    public_key: Path | None,
    nonce: str,
    signature: str,
    account: str,
    who: Who,
    data: Path,
    as_json: bool,
) -> None:
    """Replace a key by a new one and print that; an HMAC key's secret is shown this once."""
    body = {"overlap": overlap} | _public_key_fields(public_key, nonce, signature)
    _show(_of_key(who, data, account, api_key, "POST", "/rotate", body), as_json, _fields)


@keys.command("challenge")
@click.option("--account", required=True, metavar="EMAIL")
@click.option("--public-key", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@for_holder
@for_server
def keys_challenge(account: str, public_key: Path, who: Who, data: Path, as_json: bool) -> None:
    """Print a text to sign, which proves possession of a public key's private half; its nonce stands in it."""
    body = {"publicKey": public_key.read_bytes().decode("utf-8", "replace")}
    path = f"/accounts/{quoted(account)}/challenges"
    document = who.asks(
        data, account, lambda server: server.post(path, body), lambda holder: holder.post("/me/keys/challenges", body)
    )
    # The text alone, to the byte, so that it can be led into the program that signs it.
    click.echo(json.dumps(document) if as_json else document["text"], nl=as_json)


@keys.command("disable")
@click.argument("api_key", metavar="APIKEY")
@of_account
@for_holder
@for_server
def keys_disable(api_key: str, account: str, who: Who, data: Path, as_json: bool) -> None:
    """Stop a key until it is enabled again."""
    _show(_of_key(who, data, account, api_key, "POST", "/disable", {}), as_json, _fields)


@keys.command("enable")
@click.argument("api_key", metavar="APIKEY")
@of_account
@for_holder
@for_server
def keys_enable(api_key: str, account: str, who: Who, data: Path, as_json: bool) -> None:
    """Let a disabled key call again."""
    _show(_of_key(who, data, account, api_key, "POST", "/enable", {}), as_json, _fields)


@keys.command("panic")
@click.argument("email")
@click.option("--reason", help="Why; it is journaled.")
@for_holder
@for_server
def keys_panic(email: str, reason: str | None, who: Who, data: Path, as_json: bool) -> None:
    """Disable every key of an account at once. The operator may do that in guarded mode, too."""
    path, body = f"/accounts/{quoted(email)}/panic", {"reason": reason}
    document = who.asks(
        data, email, lambda server: server.post(path, body), lambda holder: holder.post("/me/keys/panic", {})
    )
    _show(document, as_json, lambda row: [f"disabled {api_key}" for api_key in row["disabled"]] or ["no active keys"])


@keys.command("usage")
@click.argument("api_key", metavar="APIKEY")
@of_account
@for_holder
@for_server
def keys_usage(api_key: str, account: str, who: Who, data: Path, as_json: bool) -> None:
    """Show who calls a key, by address: after a rotation, who has not changed over yet."""
    _show(_of_key(who, data, account, api_key, "GET", "/usage"), as_json, _usage_lines)


@keys.command("delete")
@click.argument("api_key")
@of_account
@for_holder
@for_server
def keys_delete(api_key: str, account: str, who: Who, data: Path, as_json: bool) -> None:
    """Delete a key; it is refused from its next call on."""
    document = _of_key(who, data, account, api_key, "DELETE")
    _show(document, as_json, lambda row: [f"deleted {row['apiKey']}"])


def _of_key(
    who: Who, data: Path, account: str, api_key: str, method: str, act: str = "", body: Mapping[str, Any] | None = None
) -> Any:
    """What is asked of one key has the same form for the operator and its holder."""
    path = f"/keys/{quoted(api_key)}{act}"
    return who.asks(
        data,
        account,
        lambda server: server.ask(method, path, body),
        lambda holder: holder.ask(method, f"/me{path}", body),
    )


@keys.command("receipts")
@click.argument("api_key", metavar="APIKEY")
@for_server
def keys_receipts(api_key: str, data: Path, as_json: bool) -> None:
    """Show when everything stopped honouring a key that was narrowed or stopped, since the server started."""
    _show_receipts(Server(data).get(f"/keys/{quoted(api_key)}/receipts"), as_json)


def _show_receipts(documents: Sequence[Any], as_json: bool) -> None:
    _show(documents, as_json, lambda rows: [line for row in rows for line in _receipt_lines(row)] or ["no receipts"])


@commands.group()
def bans() -> None:
    """Addresses that ignored 429 and are shut out."""


@bans.command("list")
@for_server
def bans_list(data: Path, as_json: bool) -> None:
    """List the bans that run."""
    documents = Server(data).get("/bans")
    _show(documents, as_json, lambda rows: [_ban_line(row) for row in rows] or ["nobody is banned"])


@bans.command("receipts")
@click.argument("ip")
@for_server
def bans_receipts(ip: str, data: Path, as_json: bool) -> None:
    """Show when an address was banned, and what it had open then, since the server started."""
    _show_receipts(Server(data).get(f"/bans/{quoted(ip)}/receipts"), as_json)


@bans.command("lift")
@click.argument("ip")
@for_server
def bans_lift(ip: str, data: Path, as_json: bool) -> None:
    """Let an address in again and forget that it was banned."""
    _show(Server(data).delete(f"/bans/{quoted(ip)}"), as_json, lambda row: [f"lifted the ban of {row['ip']}"])


@commands.group()
def outbox() -> None:
    """Letters to people: all of them without a mail server, else what became of them."""


@outbox.command("list")
@for_server
def outbox_list(data: Path, as_json: bool) -> None:
    """List the letters that are remembered, the newest first."""
    _show(Server(data).get("/letters"), as_json, lambda rows: [_letter_line(row) for row in rows] or ["no letters"])


@outbox.command("show")
@click.argument("number", type=click.IntRange(min=1))
@for_server
def outbox_show(number: int, data: Path, as_json: bool) -> None:
    """Print a letter, if it may be read here."""
    _show(Server(data).get(f"/letters/{number}"), as_json, _letter_lines)


@commands.group()
def clock() -> None:
    """The policy clock (expiry, bans) and the wire clock (timestamps)."""


@clock.command("show")
@for_server
def clock_show(data: Path, as_json: bool) -> None:
    """Show both clocks."""
    _show(Server(data).get("/clock"), as_json, _fields)


@clock.command("advance", context_settings={"ignore_unknown_options": True})
@click.argument("duration")
@for_server
def clock_advance(duration: str, data: Path, as_json: bool) -> None:
    """Advance the policy clock, e.g. by 91d; timestamps of running clients stay valid."""
    _show(Server(data).post("/clock/advance", {"duration": duration}), as_json, _fields)


@clock.command("skew", context_settings={"ignore_unknown_options": True})
@click.argument("duration")
@for_server
def clock_skew(duration: str, data: Path, as_json: bool) -> None:
    """Let the wire clock run ahead (+3s) or behind (-3s) of the host; 0s ends it."""
    _show(Server(data).post("/clock/skew", {"duration": duration}), as_json, _fields)


@commands.group()
def log() -> None:
    """The call log and the journal."""


@log.command("tail")
@click.option("--key", default="", metavar="APIKEY")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@for_server
def log_tail(key: str, limit: int, data: Path, as_json: bool) -> None:
    """The newest calls, oldest first, with the exact reason of each refusal."""
    for row in Server(data).get("/calls", key=key, limit=limit):
        click.echo(json.dumps(row) if as_json else _call_line(row))


@log.command("verify")
@for_server
def log_verify(data: Path, as_json: bool) -> None:
    """Check the journal's chain, checkpoints and snapshots; works on a stopped server's folder, too."""
    from sparekey.assemble import StartRefused, verify_journal  # late: see `up`

    try:
        report = verify_journal(data)
    except StartRefused as error:
        raise Refused("data-directory-unusable", str(error)) from None
    if report["problems"]:
        raise Refused("journal-damaged", "; ".join(report["problems"]))
    _show(report, as_json, _fields)


def _amounts(texts: Sequence[str]) -> dict[str, str]:
    amounts: dict[str, str] = {}
    for text in texts:
        asset, equals, amount = text.partition("=")
        if not asset or not equals or not amount:
            raise Refused("amount-invalid", f"{text!r} is no amount; expected ASSET=AMOUNT such as USDT=1000")
        if asset in amounts:
            raise Refused("amount-invalid", f"{asset} is given twice")
        amounts[asset] = amount
    return amounts


def _letter_line(row: Mapping[str, Any]) -> str:
    problem = f"  ({row['problem']})" if row["problem"] else ""
    return f"{row['number']:>4}  {_iso(row['postedMs'])}  {row['state']:<9}  {row['to']}  {row['subject']}{problem}"


def _letter_lines(letter: Mapping[str, Any]) -> list[str]:
    said = "(it is not to be read here)" if letter["text"] is None else letter["text"].rstrip()
    return [_letter_line(letter), "", said]


def _waiting_line(row: Mapping[str, Any]) -> str:
    return f"{row['email']}  since {_iso(row['sinceMs'])}"


def _key_line(row: Mapping[str, Any]) -> str:
    ips = ",".join(row["ips"]) or "any address"
    permissions = ", ".join(row["permissions"])
    ends = "never expires" if row["expiryTime"] is None else f"until {_iso(row['expiryTime'])}"
    return f"{row['apiKey']}  {row['type']:<7}  {row['status']:<8}  {row['label']}  [{permissions}]  {ips}  {ends}"


def _usage_lines(usage: Mapping[str, Any]) -> list[str]:
    lines = _fields({name: value for name, value in usage.items() if name != "callers"})
    for caller in usage["callers"]:
        last = _iso(caller["lastHourMs"])
        calls = f"{caller['calls']} call{'' if caller['calls'] == 1 else 's'}"
        lines.append(f"{caller['ip']:<15}  {calls}, {caller['refused']} refused, the last in the hour of {last}")
    return lines if usage["callers"] else [*lines, "nobody has called it"]


def _ban_line(ban: Mapping[str, Any]) -> str:
    return f"{ban['ip']:<15}  level {ban['level']}  until {ban['untilMs']} ({_iso(ban['untilMs'])})"


def _receipt_lines(receipt: Mapping[str, Any]) -> list[str]:
    """What happened, and how long after it each other thing followed."""
    began_us = receipt["accessUs"]
    record = f" (access record {receipt['accessSeq']})" if receipt["accessSeq"] else ""  # a ban is none
    lines = [f"{_iso(began_us // 1000)}  {receipt['cause']}{record}"]
    lines += [
        f"  {fence['shard']} refuses since record {fence['seq']}, {fence['us'] - began_us} us later"
        for fence in receipt["shards"]
    ]
    if receipt["streamsClosed"]:
        lines.append(f"  {receipt['streamsClosed']} streams closed, the last {receipt['closedUs'] - began_us} us later")
    last_us = receipt["lastHonouredUs"]
    if receipt["ip"] is not None:  # the log is kept by keys
        return lines
    if last_us is None:
        return [*lines, "  no call that was honoured is in the log"]
    seconds = (began_us - last_us) / 1_000_000
    return [*lines, f"  last call that was honoured: {abs(seconds):.3f} s {'before' if seconds >= 0 else 'AFTER'}"]


def _call_line(row: Mapping[str, Any]) -> str:
    when = time.strftime("%H:%M:%S", time.gmtime(row["timeMs"] / 1000))
    # The first characters are the same for every key.
    key = "…" + row["apiKey"][-6:] if row["apiKey"] else "-"
    verdict = f"{row['code']} {row['reason']}" if row["code"] else "ok"
    return (
        f"{when}  {row['ip']:<15}  {key:<8}  {row['method']:<6} {row['path']:<36}  "
        f"{row['http']}  w{row['weight']:<3} {row['latencyUs']:>7} us  {verdict}"
    )


if __name__ == "__main__":
    main()
