"""The authority of a data directory, the server's certificate: what OpenSSL makes of them, and how long they stay."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from sparekey.server.tls import make_context
from sparekey.storage.certificates import Certificates, CertificatesUnusable

NAMES = ("api.binance.com", "stream.binance.com")
NOW = datetime.now(UTC)


class Clock:
    """Starts now, because OpenSSL goes by the machine's clock."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return int(self.now.timestamp()) * 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def certificates(tmp_path: Path, clock: Clock) -> Certificates:
    one = Certificates(tmp_path / "tls", NAMES, clock)
    assert one.prepare() == []
    return one


def authority(certificates: Certificates) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificates.authority_path.read_bytes())


def server(certificates: Certificates) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificates.server_path.read_bytes())


def shake_hands(shown: Path, trusted: Path, name: str) -> None:
    """A handshake in memory. Raises what the client makes of the certificate."""
    trusting = ssl.create_default_context(cafile=trusted)
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    serving = make_context(shown).wrap_bio(to_server, to_client, server_side=True)
    for side in (client, serving, client, serving):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.selected_alpn_protocol() is None
    assert client.version() == "TLSv1.3"


def sign_with(certificates: Certificates, shown: Path, name: x509.GeneralName) -> Path:
    """A certificate of the authority for whatever names, as a thief of its key would make it."""
    thief = load_pem_private_key(certificates.authority_key_path.read_bytes(), None)
    assert isinstance(thief, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority(certificates)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
    )
    signed = builder.sign(thief, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    shown.write_bytes(private + signed.public_bytes(Encoding.PEM))
    return shown


@pytest.mark.parametrize("name", [*NAMES, "localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_the_authority_takes_the_server_under_each_of_its_names(
    certificates: Certificates, name: str
) -> None:
    shake_hands(certificates.server_path, certificates.authority_path, name)


def test_a_client_refuses_the_server_under_another_name(certificates: Certificates) -> None:
    for name in ("www.binance.com", "binance.com", "example.org", "127.0.0.2"):
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            shake_hands(certificates.server_path, certificates.authority_path, name)


def test_a_client_without_the_authority_refuses_the_server(certificates: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other", NAMES, Clock())
    other.prepare()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(certificates.server_path, other.authority_path, "api.binance.com")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("example.org", x509.DNSName("example.org")),
        ("www.binance.com", x509.DNSName("www.binance.com")),
        ("binance.com", x509.DNSName("binance.com")),
        ("xapi.binance.com", x509.DNSName("xapi.binance.com")),
        ("www.binance.com", x509.DNSName("*.binance.com")),
        ("8.8.8.8", x509.IPAddress(ip_address("8.8.8.8"))),
        ("fe80::1", x509.IPAddress(ip_address("fe80::1"))),
    ],
)
def test_openssl_refuses_what_the_authority_signs_beyond_its_names(
    certificates: Certificates, tmp_path: Path, name: str, shown: x509.GeneralName
) -> None:
    stolen = sign_with(certificates, tmp_path / "stolen.pem", shown)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake_hands(stolen, certificates.authority_path, name)
    # The same certificate with a name within: it is the name that was refused.
    within = sign_with(certificates, tmp_path / "within.pem", x509.DNSName("api.binance.com"))
    shake_hands(within, certificates.authority_path, "api.binance.com")


def test_the_authority_makes_no_authorities(certificates: Certificates) -> None:
    limits = authority(certificates).extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    assert authority(certificates).extensions.get_extension_for_class(x509.NameConstraints).critical


def test_only_the_owner_reads_the_files_and_clients_get_no_private_key(certificates: Certificates) -> None:
    folder = certificates.authority_path.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(one.name for one in folder.iterdir()) == ["authority.key", "authority.pem", "server.pem"]
    for one in folder.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert b"PRIVATE" not in certificates.authority_path.read_bytes()


def test_files_that_others_could_read_are_private_again_after_a_start(
    certificates: Certificates, tmp_path: Path, clock: Clock
) -> None:
    folder = certificates.authority_path.parent
    folder.chmod(0o755)
    certificates.authority_key_path.chmod(0o644)
    certificates.server_path.chmod(0o644)
    Certificates(folder, NAMES, clock).prepare()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(certificates.authority_key_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(certificates.server_path.stat().st_mode) == 0o600


def test_a_start_keeps_what_is_good(certificates: Certificates, tmp_path: Path, clock: Clock) -> None:
    before = {one.name: one.read_bytes() for one in (tmp_path / "tls").iterdir()}
    clock.now += timedelta(days=59)
    assert Certificates(tmp_path / "tls", NAMES, clock).prepare() == []
    assert {one.name: one.read_bytes() for one in (tmp_path / "tls").iterdir()} == before


@pytest.mark.parametrize("days", [61, 89, 91, 1000])
def test_a_certificate_near_its_end_or_past_it_is_renewed_under_the_same_authority(
    certificates: Certificates, tmp_path: Path, clock: Clock, days: int
) -> None:
    trusted, shown = authority(certificates), server(certificates)
    clock.now += timedelta(days=days)
    again = Certificates(tmp_path / "tls", NAMES, clock)
    assert again.prepare() == []
    assert authority(again) == trusted
    assert server(again) != shown
    assert server(again).not_valid_after_utc - clock.now > timedelta(days=89)
    server(again).verify_directly_issued_by(trusted)


def test_a_running_server_renews_its_certificate_once_when_it_is_time(tmp_path: Path, clock: Clock) -> None:
    clock.now -= timedelta(days=61)
    certificates = Certificates(tmp_path / "tls", NAMES, clock)
    certificates.prepare()
    assert not certificates.renew()
    clock.now = NOW
    assert certificates.renew()
    assert not certificates.renew()
    shake_hands(certificates.server_path, certificates.authority_path, "api.binance.com")


def test_an_expired_certificate_is_refused_by_openssl(tmp_path: Path) -> None:
    clock = Clock()
    clock.now -= timedelta(days=91)
    expired = Certificates(tmp_path / "tls", NAMES, clock)
    expired.prepare()
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(expired.server_path, expired.authority_path, "api.binance.com")
    clock.now = NOW
    assert expired.renew()
    shake_hands(expired.server_path, expired.authority_path, "api.binance.com")


def test_a_certificate_never_outlives_its_authority(certificates: Certificates, clock: Clock) -> None:
    end = authority(certificates).not_valid_after_utc
    clock.now = end - timedelta(days=40)
    assert certificates.renew()
    assert server(certificates).not_valid_after_utc == end


def test_an_authority_near_its_end_is_replaced_at_a_start_which_says_so(
    certificates: Certificates, tmp_path: Path, clock: Clock
) -> None:
    trusted = authority(certificates)
    clock.now = trusted.not_valid_after_utc - timedelta(days=119)
    again = Certificates(tmp_path / "tls", NAMES, clock)
    notes = again.prepare()
    assert "near its end" in notes[0]
    assert str(again.authority_path) in notes[1]
    assert authority(again) != trusted
    server(again).verify_directly_issued_by(authority(again))


@pytest.mark.parametrize("names", [(*NAMES, "fapi.binance.com"), NAMES[:1]])
def test_an_authority_for_other_names_is_replaced_at_a_start_which_says_so(
    certificates: Certificates, tmp_path: Path, clock: Clock, names: tuple[str, ...]
) -> None:
    again = Certificates(tmp_path / "tls", names, clock)
    assert "other names" in again.prepare()[0]
    shake_hands(again.server_path, again.authority_path, names[-1])


@pytest.mark.parametrize(
    "content", [b"", b"\x00junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_authority_is_not_replaced_behind_the_back_of_those_who_trust_it(
    certificates: Certificates, tmp_path: Path, clock: Clock, content: bytes
) -> None:
    certificates.authority_key_path.write_bytes(content)
    with pytest.raises(CertificatesUnusable, match=r"delete .*tls"):
        Certificates(tmp_path / "tls", NAMES, clock).prepare()
    assert certificates.authority_key_path.read_bytes() == content


@pytest.mark.parametrize("cut", [0, 10, 400, -10])
def test_a_damaged_server_certificate_is_made_anew(
    certificates: Certificates, tmp_path: Path, clock: Clock, cut: int
) -> None:
    certificates.server_path.write_bytes(certificates.server_path.read_bytes()[:cut])
    again = Certificates(tmp_path / "tls", NAMES, clock)
    assert again.prepare() == []
    shake_hands(again.server_path, again.authority_path, "api.binance.com")


def test_a_lost_or_changed_copy_for_clients_is_written_again(
    certificates: Certificates, tmp_path: Path, clock: Clock
) -> None:
    good = certificates.authority_path.read_bytes()
    for change in (certificates.authority_path.unlink, lambda: certificates.authority_path.write_bytes(b"no")):
        change()
        Certificates(tmp_path / "tls", NAMES, clock).prepare()
        assert certificates.authority_path.read_bytes() == good


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(CertificatesUnusable, match=r"no certificates can be kept in .*tls: File exists"):
        Certificates(tmp_path / "tls", NAMES, clock).prepare()
