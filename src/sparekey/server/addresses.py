"""Who is calling: the socket's peer, or what a trusted proxy says. What does not parse is nobody: the empty string.

The gate refuses the empty address, so that a broken header can never pass for a listed one.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def canonical_address(text: str) -> str:
    """One spelling per address: IPv4-mapped IPv6 as IPv4, no zone, IPv6 compressed. "" if it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


class TrustedProxies:
    """The networks whose `X-Forwarded-For` is believed."""

    __slots__ = ("_networks", "_verdicts")

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """`networks` are addresses or CIDR ranges; raises ValueError for what is neither."""
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(network) for network in networks]
        self._verdicts: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        """`address` is canonical. Verdicts are kept: proxies are few, and this is asked for each request."""
        if not self._networks or not address:
            return False
        verdict = self._verdicts.get(address)
        if verdict is None:
            if len(self._verdicts) >= 1024:
                self._verdicts.clear()
            parsed = ip_address(address)
            verdict = any(parsed in network for network in self._networks if network.version == parsed.version)
            self._verdicts[address] = verdict
        return verdict

    def client(self, peer: str, forwarded_for: bytes) -> str:
        """The caller's address. Each proxy appends whom it saw, so the list is believed from the right only."""
        if not forwarded_for or peer not in self:
            return peer
        client = ""
        for entry in reversed(forwarded_for.split(b",")):
            client = canonical_address(entry.strip(b" \t").decode("latin-1"))
            if client not in self:  # The first that is not ours; also "" for what does not parse.
                return client
        return client
