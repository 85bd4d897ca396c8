"""Certificates in PEM, as an admin pastes them into a group."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

LONGEST = 100_000
"""Characters; an authority's bundle has a few thousand."""


def authority(given: str) -> str:
    """One certificate or more, the authorities a group trusts; '' for those the system knows."""
    return "".join(_read("tls_ca", given))


def certificate(given: str) -> str:
    """The one certificate that a group's servers show; '' where none is pinned."""
    found = _read("tls_certificate", given)
    if len(found) > 1:
        raise ValueError(f"tls_certificate must be one certificate in PEM; here are {len(found)}.")
    return "".join(found)


def _read(name: str, given: str) -> list[str]:
    plain = given.strip()
    if not plain:
        return []
    if len(plain) > LONGEST:
        raise ValueError(f"{name} has {len(plain)} characters; at most {LONGEST}.")
    if "PRIVATE KEY" in plain:
        raise ValueError(f"{name} must hold certificates only; this has a private key in it.")
    try:
        found = x509.load_pem_x509_certificates(plain.encode())
    except ValueError:
        raise ValueError(
            f"{name} must be certificates in PEM: text from -----BEGIN CERTIFICATE----- to "
            "-----END CERTIFICATE-----."
        ) from None
    return [one.public_bytes(Encoding.PEM).decode() for one in found]
