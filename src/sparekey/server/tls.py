"""TLS as it is served: HTTP and WebSockets run on it as they do without, on the same connections' code.

What goes before the first request is limited here, because no connection of ours exists yet: a client that does not
finish its handshake is closed.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

HANDSHAKE_S: Final = 10
#: For the other side's farewell; then the socket is closed without it.
FAREWELL_S: Final = 1


def make_context(certificate: Path) -> ssl.SSLContext:
    """`certificate` holds the private key, too. Load it again (`load_cert_chain`) to change it while serving."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation costs us more than it costs who asks for it, and no client of an API needs one.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate)
    return context
