"""What a server must prove over TLS before anything is said to it, and what it failed to prove.

Its chain must end at an authority the system knows (or the one its group pins) and its certificate
must be for the name that is configured, never for one that DNS put in its place (RFC 5922). A
pinned certificate stands for itself: neither chain nor name nor dates are asked.
"""

import os
import ssl
from functools import lru_cache

from registrations.sip.identity import is_for, names_in
from registrations.values import Target

_CHECKS = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is signed by itself, by no known authority",
    19: "its certificate comes from an authority that is not known here",
    20: "its certificate comes from an authority that is not known here",
    21: "its certificate comes from an authority that is not known here",
    23: "its certificate was revoked",
}
"""By OpenSSL's X509_V_ERR numbers, which are part of its interface."""


def name_of(target: Target) -> str:
    """The name the server's certificate must be for."""
    return target.tls_name or target.address


@lru_cache(maxsize=64)
def context_for(ca: str, certificate: str) -> ssl.SSLContext:
    """Return the context that trusts `ca` (PEM; '' is the system's store), or only `certificate`.

    Names are looked at afterwards, by `mistrust`: OpenSSL takes wildcards and knows no SIP URIs.
    """
    context = ssl.create_default_context(cadata=ca or None)
    context.check_hostname = False
    if certificate:
        context.verify_mode = ssl.CERT_NONE
    # A group may pin the authority in the middle of a chain.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def mistrust(target: Target, peer: ssl.SSLObject) -> str | None:
    """Return why the server at the other end is not the one meant; None where it is."""
    if target.tls_certificate:
        pinned = ssl.PEM_cert_to_DER_cert(target.tls_certificate.strip())
        if peer.getpeercert(binary_form=True) != pinned:
            return "its certificate is not the one pinned for its group"
        return None
    certificate = peer.getpeercert() or {}
    if is_for(certificate, name_of(target)):
        return None
    names = ", ".join(names_in(certificate)[:3]) or "nobody"
    return f"its certificate is for {names[:120]}, not for {name_of(target)}"


def reason(error: OSError) -> str:
    """Say why a connection did not come about, and of TLS which check failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CHECKS.get(
            error.verify_code, f"its certificate was not accepted: {error.verify_message}"
        )
    if isinstance(error, ssl.SSLError):
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE"):
            return "it does not speak TLS there"
        detail = (error.reason or "no reason given").replace("_", " ").lower()
        return f"the TLS handshake failed: {detail}"
    if error.errno and str(error.strerror).startswith("Connect call failed"):
        # asyncio's words, which name the address once more.
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__
