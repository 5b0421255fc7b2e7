"""A certificate authority of this data directory's own, and the certificate that the server shows.

    tls/authority.key   the authority: its private key and its certificate
    tls/authority.pem   its certificate alone, for clients
    tls/server.pem      the server's private key and certificate

Whoever trusts the authority trusts it with no more than the names below: its certificate says so (RFC 5280, section
4.2.1.10), and clients refuse what it signs beyond them. It stays the same for as long as it can, because clients were
given it; the server's certificate is short-lived and renewed in passing.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sparekey.storage.private_files import replace_file, sync_folder

AUTHORITY_LIVES: Final = timedelta(days=5 * 365)
#: No new server certificate comes from an authority that ends sooner.
AUTHORITY_NEAR_ITS_END: Final = timedelta(days=120)
#: Well below the 398 days that the strictest clients take.
SERVER_LIVES: Final = timedelta(days=90)
SERVER_NEAR_ITS_END: Final = timedelta(days=30)
#: A client's clock may be behind.
_EARLIER: Final = timedelta(days=1)

#: Reached on this machine in other ways than by the exchange's names.
_LOCAL_NAMES: Final = ("localhost",)
_LOCAL_ADDRESSES: Final = ("127.0.0.1", "::1")
_LOCAL_NETWORKS: Final = ("127.0.0.0/8", "::1/128")

#: What reading a file that is none raises.
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)

_MAKER: Final = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sparekey, not Binance")


class CertificatesUnusable(Exception):
    """There can be no TLS. The text is one line for people."""


class Certificates:
    """Those of `folder`. `names` are host names to answer for; `wall_us` is the clock that clients have, too."""

    def __init__(self, folder: Path, names: Sequence[str], wall_us: Callable[[], int]) -> None:
        self.authority_key_path = folder / "authority.key"
        self.authority_path = folder / "authority.pem"
        self.server_path = folder / "server.pem"
        self._folder = folder
        self._names = (*names, *_LOCAL_NAMES)
        self._wall_us = wall_us

    def prepare(self) -> list[str]:
        """At a start: make what is missing, near its end or for other names. Returns lines for the operator."""
        try:
            self._make_folder()
            notes: list[str] = []
            kept = self._read_authority()
            why_new = "" if kept is None else self._why_not(kept[1])
            if kept is None or why_new:
                kept = self._make_authority()
                if why_new:
                    notes.append(f"A new certificate authority was made, because the old one {why_new}.")
                    notes.append(f"Clients that run must be started anew to take it from {self.authority_path}.")
            self._write(self.authority_path, kept[1].public_bytes(Encoding.PEM))
            if not self._serves(kept[1]):
                self._make_server(*kept)
        except OSError as error:
            where = error.filename if isinstance(error.filename, str) else self._folder
            raise CertificatesUnusable(f"no certificates can be kept in {where}: {error.strerror}") from error
        return notes

    def renew(self) -> bool:
        """While serving: a new server certificate, if it is time for one. The authority stays; clients hold it."""
        kept = self._read_authority()
        if kept is None or self._serves(kept[1]):
            return False
        self._make_server(*kept)
        return True

    # --- the authority -----------------------------------------------------------------------------------------------

    def _read_authority(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
        path = self.authority_key_path
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        self._keep_private(path)
        try:
            return _read(content)
        except _UNREADABLE:
            # It may be a good one in a broken file, and clients may trust it: not ours to replace.
            raise CertificatesUnusable(
                f"{path} holds no authority; delete {self._folder} to have a new one made, which clients must then be "
                "given"
            ) from None

    def _why_not(self, authority: x509.Certificate) -> str:
        """Why it cannot go on; empty if it can."""
        if authority.not_valid_after_utc - self._now() < AUTHORITY_NEAR_ITS_END:
            return "was near its end"
        if _permitted(authority) != set(self._constraint().permitted_subtrees or ()):
            return "was made for other names"
        return ""

    def _constraint(self) -> x509.NameConstraints:
        names = [x509.DNSName(name) for name in self._names]
        networks = [x509.IPAddress(ip_network(network)) for network in _LOCAL_NETWORKS]
        return x509.NameConstraints([*names, *networks], None)

    def _make_authority(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [_MAKER, x509.NameAttribute(NameOID.COMMON_NAME, "Sparekey's authority of one data directory")]
        )
        builder = self._builder(name, name, key, AUTHORITY_LIVES)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        builder = builder.add_extension(self._constraint(), critical=True)
        authority = builder.sign(key, hashes.SHA256())
        self._write(self.authority_key_path, _private(key) + authority.public_bytes(Encoding.PEM))
        return key, authority

    # --- the server's certificate ------------------------------------------------------------------------------------

    def _serves(self, authority: x509.Certificate) -> bool:
        """Whether the server's certificate is good for a while yet."""
        try:
            content = self.server_path.read_bytes()
        except FileNotFoundError:
            return False
        self._keep_private(self.server_path)
        try:
            _, server = _read(content)
            server.verify_directly_issued_by(authority)
            shown = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (*_UNREADABLE, InvalidSignature, x509.ExtensionNotFound):
            return False  # another takes its place, and nobody notices
        return set(shown) == set(self._shown()) and server.not_valid_after_utc - self._now() >= SERVER_NEAR_ITS_END

    def _shown(self) -> list[x509.GeneralName]:
        names = [x509.DNSName(name) for name in self._names]
        return [*names, *(x509.IPAddress(ip_address(address)) for address in _LOCAL_ADDRESSES)]

    def _make_server(self, authority_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([_MAKER, x509.NameAttribute(NameOID.COMMON_NAME, "sparekey up")])
        builder = self._builder(name, authority.subject, key, SERVER_LIVES, authority.not_valid_after_utc)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(self._shown()), critical=False)
        issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer)
        server = builder.add_extension(identifier, critical=False).sign(authority_key, hashes.SHA256())
        self._write(self.server_path, _private(key) + server.public_bytes(Encoding.PEM))

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        lives: timedelta,
        at_most: datetime | None = None,
    ) -> x509.CertificateBuilder:
        now = self._now()
        end = now + lives if at_most is None else min(now + lives, at_most)
        builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - _EARLIER).not_valid_after(end)
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)

    # --- files -------------------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall_us() // 1_000_000, UTC)

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700)
            sync_folder(self._folder.parent)
        self._keep_private(self._folder)

    def _keep_private(self, path: Path) -> None:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            path.chmod(mode & 0o700)

    def _write(self, path: Path, content: bytes) -> None:
        if not path.exists() or path.read_bytes() != content:
            replace_file(path, content)


def _read(content: bytes) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A private key and its certificate. Raises ValueError."""
    key = load_pem_private_key(content, None)
    certificate = x509.load_pem_x509_certificate(content)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("key and certificate do not belong together")
    return key, certificate


def _permitted(authority: x509.Certificate) -> set[x509.GeneralName]:
    try:
        constraint = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return set()
    return set(constraint.permitted_subtrees or ())


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
