"""IP whitelists: parse what people type, keep it canonical, and answer quickly whether an address is in it.

What is typed must be exact: host bits (`10.0.0.1/24`), zone ids (`fe80::1%eth0`), leading zeros and netmasks are
refused rather than guessed at. IPv4-mapped IPv6 (`::ffff:192.0.2.1`) becomes the IPv4 address that it means, both in
lists and in callers' addresses. Overlapping and adjoining ranges merge.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: Binance shows room for 30 addresses per key; ranges count once, after merging.
MAX_ENTRIES = 30
#: A whitelist that lets half the internet in would escape the expiry rule without restricting anything.
MAX_ADDRESSES_V4 = 2 ** (32 - 16)
MAX_ADDRESSES_V6 = 2 ** (128 - 32)
#: More typed entries, or longer ones, than this are not even read; commands are journaled as typed.
_MAX_TYPED = 1_000
_MAX_CHARACTERS = 128

_LOOPBACK_V4 = ipaddress.IPv4Network("127.0.0.0/8")
_LOOPBACK_V6 = ipaddress.IPv6Network("::1/128")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: (mask, network) of the IPv4 entries, and of the IPv6 entries.
_Ranges = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]


class Allowlist:
    """Never empty. `entries` is the canonical text: IPv4 before IPv6, ascending, single addresses without a length."""

    __slots__ = ("_admitted", "_admitted_before", "_ranges", "entries")

    def __init__(self, entries: tuple[str, ...]) -> None:
        """`entries` must be canonical, as `parse_allowlist` returns them."""
        self.entries = entries
        # Nothing is parsed before somebody calls: a million keys lie idle in the space of their texts.
        self._ranges: _Ranges | None = None
        #: A bot calls from one address or two; remembering them spares the parsing.
        self._admitted = ""
        self._admitted_before = ""

    def contains(self, ip: str) -> bool:
        """Whether a caller's address is listed. What does not parse as an address is not."""
        return ip != "" and (ip == self._admitted or ip == self._admitted_before or self._judge(ip))

    def _judge(self, ip: str) -> bool:
        for entry in self.entries:
            if entry == ip and "/" not in ip:  # a single address, in its one spelling
                self._remember(entry)
                return True
        if "%" in ip:
            return False
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return False
        if self._ranges is None:
            self._ranges = _ranges_of(self.entries)
        number = int(address)
        ranges = self._ranges[address.version == 6]
        if address.version == 6 and address.ipv4_mapped is not None:
            number = int(address.ipv4_mapped)
            ranges = self._ranges[0]
        if not any(number & mask == network for mask, network in ranges):
            return False
        self._remember(ip)
        return True

    def _remember(self, ip: str) -> None:
        self._admitted_before = self._admitted
        self._admitted = ip


def _ranges_of(entries: tuple[str, ...]) -> _Ranges:
    networks = [ipaddress.ip_network(entry) for entry in entries]
    v4, v6 = (tuple(_masked(network) for network in networks if network.version == version) for version in (4, 6))
    return v4, v6


def parse_allowlist(typed: Sequence[str], *, loopback_allowed: bool) -> tuple[str, ...] | Refusal:
    """What a person typed → canonical entries. Nothing typed gives an empty tuple, which means "no whitelist".

    `loopback_allowed` (sandbox mode): loopback addresses are accepted and do not count towards the width.
    """
    if len(typed) > _MAX_TYPED:
        return Refusal(Reason.WHITELIST_TOO_LONG, (len(typed),))
    v4: list[ipaddress.IPv4Network] = []
    v6: list[ipaddress.IPv6Network] = []
    for text in typed:
        network = _parse_network(text)
        if isinstance(network, Refusal):
            return network
        loopback = network.subnet_of(_LOOPBACK_V4) if network.version == 4 else network.subnet_of(_LOOPBACK_V6)
        if loopback and not loopback_allowed:
            return Refusal(Reason.WHITELIST_LOOPBACK, (_spelled(network),))
        if not loopback and network.num_addresses > (MAX_ADDRESSES_V4 if network.version == 4 else MAX_ADDRESSES_V6):
            return Refusal(Reason.WHITELIST_TOO_WIDE, (_spelled(network),))
        if not loopback_allowed and network.version == 6 and network.overlaps(_LOOPBACK_V6):
            # An IPv6 range of legal width may hold ::1 (::/32 does); none of IPv4's holds 127.0.0.1 and more.
            return Refusal(Reason.WHITELIST_LOOPBACK, (_spelled(network),))
        if network.version == 4:
            v4.append(network)
        else:
            v6.append(network)
    merged_v4 = list(ipaddress.collapse_addresses(v4))
    merged_v6 = list(ipaddress.collapse_addresses(v6))
    wide_v4 = sum(network.num_addresses for network in merged_v4 if not network.subnet_of(_LOOPBACK_V4))
    wide_v6 = sum(network.num_addresses for network in merged_v6 if not network.subnet_of(_LOOPBACK_V6))
    if wide_v4 > MAX_ADDRESSES_V4 or wide_v6 > MAX_ADDRESSES_V6:
        return Refusal(Reason.WHITELIST_TOO_WIDE, ("all of it together",))
    merged = [*map(_spelled, merged_v4), *map(_spelled, merged_v6)]
    if len(merged) > MAX_ENTRIES:
        return Refusal(Reason.WHITELIST_TOO_LONG, (len(merged),))
    return tuple(merged)


def _parse_network(typed: str) -> _Network | Refusal:
    text = typed.strip()
    shown = text[:64]
    if len(typed) > _MAX_CHARACTERS:
        return Refusal(Reason.WHITELIST_INVALID, (f"an entry of {len(typed)} characters",))
    address_text, slash, length_text = text.partition("/")
    if "%" in text:
        return Refusal(Reason.WHITELIST_INVALID, (f"{shown} has a zone id, which means nothing elsewhere; it",))
    try:
        address = ipaddress.ip_address(address_text)
    except ValueError:
        return Refusal(Reason.WHITELIST_INVALID, (shown or "an empty entry",))
    length: int = address.max_prefixlen
    if slash:
        # Neither netmasks nor leading zeros: one spelling each.
        if not (length_text.isascii() and length_text.isdigit()) or str(int(length_text[:4])) != length_text:
            return Refusal(Reason.WHITELIST_INVALID, (shown,))
        length = int(length_text)
        if length > address.max_prefixlen:
            return Refusal(Reason.WHITELIST_INVALID, (shown,))
    if address.version == 6 and address in _MAPPED:
        mapped = address.ipv4_mapped
        if mapped is None or length < _MAPPED.prefixlen:
            return Refusal(Reason.WHITELIST_INVALID, (shown,))
        address, length = mapped, length - _MAPPED.prefixlen
    network = _network_of(address, length)
    if network is None:
        meant = ipaddress.ip_network(f"{address}/{length}", strict=False)
        return Refusal(Reason.WHITELIST_INVALID, (f"{shown} has host bits set; {meant} would be one. As typed, it",))
    return network


def _network_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> _Network | None:
    """The range, or None if the address has bits beyond the length."""
    try:
        return ipaddress.ip_network(f"{address}/{length}")
    except ValueError:
        return None


def _masked(network: _Network) -> tuple[int, int]:
    return int(network.netmask), int(network.network_address)


def _spelled(network: _Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)
