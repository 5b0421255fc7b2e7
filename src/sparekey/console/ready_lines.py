"""Lines to paste that lead a client here with a key: the ways that docs/clients.md describes and the tests walk.

A self generated key's private half is not here, so its lines name the file that its owner keeps it in.
"""

from __future__ import annotations

import json
from typing import NamedTuple


class Lines(NamedTuple):
    """`id` is stable; `note` says what else there is to know."""

    id: str
    title: str
    text: str
    note: str = ""


def pem_name(key_type: str) -> str:
    """What the commands that make a pair call the private key."""
    return f"{key_type}-private.pem"


def ready_lines(base: str, api_key: str, key_type: str, secret: str) -> list[Lines]:
    """`base` is the server's address without a slash at its end. `secret` is empty for a self generated key."""
    pem = pem_name(key_type)
    sockets = "ws" + base.removeprefix("http")
    own = key_type != "hmac"
    shown = f'Path("{pem}").read_text()' if own else f'"{secret}"'
    imports = "from pathlib import Path\n\n" if own else ""
    return [
        _environment(base, sockets, api_key, pem if own else "", secret),
        _ccxt(base, api_key, shown, imports),
        _python_binance(base, api_key, f'private_key=Path("{pem}")' if own else f'api_secret="{secret}"', imports),
        _official_sdk(base, api_key, f'private_key="{pem}"' if own else f'api_secret="{secret}"'),
        _freqtrade(base, api_key, f"the text of {pem}, with \\n for its line ends" if own else secret),
        _nautilus(base, sockets, api_key, key_type, shown, imports),
        _hummingbot(own),
    ]


def _environment(base: str, sockets: str, api_key: str, pem: str, secret: str) -> Lines:
    lines = [f"BASE_URL={base}", f"WS_URL={sockets}", f"API_KEY={api_key}"]
    lines += [f"KEY_PEM={pem}"] if pem else [f"API_SECRET={secret}"]
    note = "Keep them in a file that only you can read (chmod 600) and that version control ignores."
    return Lines("env", "Environment", "\n".join(lines), note)


def _ccxt(base: str, api_key: str, secret: str, imports: str) -> Lines:
    text = f"""\
{imports}import ccxt

base = "{base}"
api = {{"public": f"{{base}}/api/v3", "private": f"{{base}}/api/v3"}}
for version in ("", "V2", "V3", "V4"):
    api[f"sapi{{version}}"] = f"{{base}}/sapi/{{version.lower() or 'v1'}}"
for family in ("fapi", "dapi"):
    for kind in ("Public", "Private"):
        for version in ("", "V2", "V3"):
            api[f"{{family}}{{kind}}{{version}}"] = f"{{base}}/{{family}}/{{version.lower() or 'v1'}}"
exchange = ccxt.binance({{
    "apiKey": "{api_key}",
    "secret": {secret},
    "urls": {{"api": api}},
}})
print(exchange.fetch_balance()["total"])"""
    return Lines("ccxt", "ccxt", text)


def _python_binance(base: str, api_key: str, secret: str, imports: str) -> Lines:
    text = f"""\
{imports}from binance.client import Client


class LocalClient(Client):
    API_URL = "{base}/api"
    MARGIN_API_URL = "{base}/sapi"


client = LocalClient("{api_key}", {secret})
print(client.get_account()["balances"])"""
    return Lines("python-binance", "python-binance", text, "The addresses must stand before the first call.")


def _official_sdk(base: str, api_key: str, secret: str) -> Lines:
    text = f"""\
from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_spot.spot import Spot

configuration = ConfigurationRestAPI(
    api_key="{api_key}",
    {secret},
    base_path="{base}",
)
print(Spot(config_rest_api=configuration).rest_api.get_account().data())"""
    return Lines("official-sdk", "binance-sdk-spot (the official SDK)", text)


def _freqtrade(base: str, api_key: str, secret: str) -> Lines:
    api = {"public": f"{base}/api/v3", "private": f"{base}/api/v3", "sapi": f"{base}/sapi/v1"}
    urls = {"urls": {"api": api}}
    told = {"name": "binance", "key": api_key, "secret": secret, "ccxt_config": urls, "ccxt_async_config": urls}
    text = json.dumps({"exchange": told}, indent=2).replace("\\\\n", "\\n")
    return Lines("freqtrade", "freqtrade", text, "Put ccxt's whole table of addresses into both dictionaries.")


def _nautilus(base: str, sockets: str, api_key: str, key_type: str, secret: str, imports: str) -> Lines:
    text = f"""\
{imports}from nautilus_trader.adapters.binance.common.enums import BinanceKeyType
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig

config = BinanceExecClientConfig(
    api_key="{api_key}",
    api_secret={secret},
    key_type=BinanceKeyType.{key_type.upper()},
    base_url_http="{base}",
    base_url_ws="{sockets}",
)"""
    return Lines("nautilus", "nautilus_trader", text, "The data client takes the same two addresses. Tried with 1.221.")


def _hummingbot(own: bool) -> Lines:
    text = "sparekey up --tls\nconnect binance"
    note = (
        "It knows no address but Binance's: serve TLS under those names (docs/tls.md has the line for /etc/hosts), "
        "then paste key and secret where its prompt asks for them. Not among the clients that the tests run."
    )
    if own:
        note += " It signs with HMAC secrets only, so it needs a system generated key."
    return Lines("hummingbot", "hummingbot", text, note)
