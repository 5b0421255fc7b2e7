"""Binance's host names: which of the paths here a path on each of them means.

Under any other name one port serves everything, the families told apart by their paths. Under one of these names it
serves what that host does: `/ws` of `fstream.binance.com` is the futures' stream, and `api.binance.com` has neither
futures nor a console. What a host does not serve is placed below its own prefix, where nothing is found.

Hosts and what they serve: Binance's "General information" of each API; the prefixes `/fstream` and `/dstream` are ours.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Site(NamedTuple):
    """`serves`: beginnings of paths that mean the same here; `exactly`: whole paths of that kind. Every other path gets
    the `prefix`."""

    prefix: bytes
    serves: tuple[bytes, ...] = ()
    exactly: frozenset[bytes] = frozenset()

    def place(self, path: bytes) -> bytes:
        return path if path.startswith(self.serves) or path in self.exactly else self.prefix + path


#: All that the host of public data serves.
_PUBLIC_DATA: Final = frozenset(
    b"/api/v3/" + name
    for name in (
        b"ping",
        b"time",
        b"exchangeInfo",
        b"depth",
        b"trades",
        b"aggTrades",
        b"klines",
        b"uiKlines",
        b"avgPrice",
        b"ticker",
        b"ticker/24hr",
        b"ticker/price",
        b"ticker/bookTicker",
    )
)

_SPOT: Final = Site(b"/api", (b"/api/", b"/sapi/"))

SITES: Final[dict[bytes, Site]] = {
    **{
        name + b".binance.com": site
        for name, site in (
            (b"api", _SPOT),
            (b"api1", _SPOT),
            (b"api2", _SPOT),
            (b"api3", _SPOT),
            (b"api4", _SPOT),
            (b"api-gcp", _SPOT),
            (b"fapi", Site(b"/fapi", (b"/fapi/",))),
            (b"dapi", Site(b"/dapi", (b"/dapi/",))),
            (b"stream", Site(b"/stream", (b"/ws/", b"/stream/"), frozenset((b"/ws", b"/stream")))),
            (b"fstream", Site(b"/fstream")),
            (b"dstream", Site(b"/dstream")),
            (b"ws-api", Site(b"/ws-api", (b"/ws-api/",))),
            (b"ws-fapi", Site(b"/ws-fapi", (b"/ws-fapi/",))),
            (b"ws-dapi", Site(b"/ws-dapi", (b"/ws-dapi/",))),
        )
    },
    b"data-api.binance.vision": Site(b"/api", exactly=_PUBLIC_DATA),
    b"data-stream.binance.vision": Site(b"/data-stream"),
}

#: As they stand in a hosts file or a certificate.
HOST_NAMES: Final = tuple(name.decode() for name in SITES)


def site_of(host: bytes) -> Site | None:
    """By the value of a Host header: any case, any port, with or without the root's dot. None: no name of Binance's."""
    return SITES.get(host.partition(b":")[0].removesuffix(b".").lower())
