"""What a browser finds at the console's address: what runs here, and where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_LINKS = (
    ("/api/v3/exchangeInfo", "The API: symbols, filters and limits"),
    ("/sparekey/v1/openapi.json", "The management API, as an OpenAPI document"),
    ("/readyz", "What works and what does not"),
    ("/metrics", "Numbers for Prometheus"),
)


def front_page(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    links = "".join(f'<li><a href="{path}">{escape(text)}</a></li>' for path, text in _LINKS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sparekey</title></head><body>'
        "<h1>Sparekey</h1><p>The exchange's side of an API key, on your own machine. Compatible with the Binance API; "
        f"not affiliated with Binance.</p><dl>{rows}</dl><ul>{links}</ul>"
        "<p>Accounts and keys are managed with the <code>sparekey</code> command.</p></body></html>"
    )
