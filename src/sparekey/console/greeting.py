"""What a start prints once it serves: where everything is, and lines to paste."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

#: The last line, which scripts may wait for.
ENDING = "Stop it with Ctrl-C."


#: Where clients look for Binance's hosts.
_USUAL_PORTS: Final = (443, 9443)


def greeting(
    url: str,
    operator_env: Path,
    bot_env: Path | None,
    facts: Mapping[str, str],
    notes: Sequence[str],
    tls: Sequence[str] | None = None,
) -> list[str]:
    """`bot_env` is None where there is no demo account; `tls` are the lines of `tls_lines`."""
    told = {
        "console": f"{url}   (API Management and more; who signs in is in {operator_env})",
        "keys": str(bot_env) if bot_env is not None else "none: no demo account in guarded mode",
        **facts,
    }
    width = max(map(len, told)) + 2
    lines = ["Sparekey is up. Compatible with the Binance API; not affiliated with Binance."]
    lines += [f"  {name.ljust(width)}{what}" for name, what in told.items()]
    lines += ["", f"  curl '{url}/api/v3/ticker/price?symbol=BTCUSDT'", ""]
    if bot_env is not None:
        lines += [f"  {line}" for line in ccxt_lines(url, bot_env)] + [""]
    if tls is not None:
        lines += [f"  {line}" for line in tls] + [""]
    return [*lines, *(f"  {note}" for note in notes), ENDING]


def tls_lines(names: Sequence[str], ports: Sequence[int], authority: Path) -> list[str]:
    """How to lead a client here that knows no address but Binance's."""
    path = shlex.quote(str(authority))
    told = " ".join(f"{name}={path}" for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"))
    lines = [
        "For clients that insist on Binance's hosts: a line for the hosts file of their machine, and their environment",
        f"127.0.0.1 {' '.join(names)}",
        f"export {told}",
    ]
    if missing := [port for port in _USUAL_PORTS if port not in ports]:
        options = " ".join(f"--tls-port {port}" for port in _USUAL_PORTS)
        lines.append(f"They call port {' and '.join(map(str, missing))}; start with {options} to be found there.")
    return lines


def ccxt_lines(url: str, bot_env: Path) -> list[str]:
    """Three lines of Python after which `exchange` trades here."""
    return [
        "import ccxt",
        f"env = dict(line.strip().split('=', 1) for line in open({str(bot_env)!r}) if '=' in line)",
        "exchange = ccxt.binance({'apiKey': env['API_KEY'], 'secret': env['API_SECRET'], 'urls': {'api': {"
        f"'public': '{url}/api/v3', 'private': '{url}/api/v3', 'sapi': '{url}/sapi/v1', "
        f"'fapiPublic': '{url}/fapi/v1', 'dapiPublic': '{url}/dapi/v1'}}}}}})",
    ]
