"""Certificates made for a test: an authority, and what it (or nobody) signs for a server."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Issued:
    """A server's certificate and its key."""

    certificate: str
    key: str

    def written(self, home: Path, name: str = "server") -> tuple[Path, Path]:
        """Both as files, for programs that read them."""
        paths = home / f"{name}.pem", home / f"{name}.key"
        for path, text in zip(paths, (self.certificate, self.key), strict=True):
            path.write_text(text)
        return paths


class Authority:
    """One that signs. `certificate` is what to trust, in PEM."""

    def __init__(self, name: str = "Test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        builder = _dated(self._name, self._name, self._key.public_key(), days=(-30, 30))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        signed = builder.sign(self._key, hashes.SHA256())
        self.certificate = _pem(signed)

    def issue(
        self,
        *names: str,
        days: tuple[int, int] = (-1, 10),
        common_name: str = "server",
        by_itself: bool = False,
    ) -> Issued:
        """A certificate for these names: DNS names, IP addresses or `sip:` URIs.

        `days` are from when to when it is valid, counted from now; `by_itself`: nobody signs it.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(common_name)
        issuer = subject if by_itself else self._name
        builder = _dated(subject, issuer, key.public_key(), days)
        if names:
            alternative = x509.SubjectAlternativeName([_alternative(name) for name in names])
            builder = builder.add_extension(alternative, False)
        signed = builder.sign(key if by_itself else self._key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return Issued(_pem(signed), secret.decode())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _dated(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    days: tuple[int, int],
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )


def _alternative(name: str) -> x509.GeneralName:
    if name.startswith("sip:"):
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
