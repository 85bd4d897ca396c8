"""SIP messages without their secrets: what may be kept, shown and exported.

Of every header that carries credentials or a challenge only the parameters known to be harmless
keep their value; whatever else stands there, understood or not, is gone. The values hidden are
then hidden wherever else a message repeats them.
"""

import re
from collections.abc import Iterable

HIDDEN = "***"
MOST_BYTES = 4096
"""Of one message; ours have at most 1300 over UDP."""

_SHOWN = frozenset({"username", "realm", "uri", "algorithm", "qop", "nc", "stale", "domain"})
_KNOWN = _SHOWN | {"nonce", "cnonce", "response", "opaque", "nextnonce", "rspauth"}
_HEADER = re.compile(
    r"^((?:proxy-)?(?:authorization|authentication-info)|(?:www|proxy)-authenticate)[ \t]*:"
    r"([^\n]*(?:\n[ \t][^\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_PARAMETER = re.compile(r'([^\s=,"]++)\s*+=\s*+("(?:[^"\\]++|\\.)*+"?|[^\s,"]*+)')
_SWALLOWED = re.compile("nonce|response|opaque|rspauth", re.IGNORECASE)
"""In a value: quotes that do not pair have drawn another parameter into it."""
_LEAST_SECRET = 6
"""Characters: anything shorter would be hidden where it only looks the same."""


def masked(messages: Iterable[bytes]) -> list[str]:
    """Return the messages of one exchange as text, each without secrets, body and carriage returns.

    What one of them hides is hidden in all of them: a server may repeat our credentials elsewhere.
    """
    secrets: set[str] = set()
    texts = [_masked(message, secrets) for message in messages]
    for secret in sorted(secrets, key=len, reverse=True):
        texts = [text.replace(secret, HIDDEN) for text in texts]
    return texts


def _masked(message: bytes, secrets: set[str]) -> str:
    text = message[:MOST_BYTES].decode("utf-8", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    head, blank, body = text.lstrip("\n").partition("\n\n")

    def without_secrets(found: "re.Match[str]") -> str:
        return f"{found[1]}: {_parameters(found[1].lower(), found[2].strip(), secrets)}"

    lowered = head.lower()
    if "authori" in lowered or "authenti" in lowered:
        head = _HEADER.sub(without_secrets, head)
    if body or not blank:
        head += "\n[the rest of this message is not kept]"
    return head


def _parameters(header: str, value: str, secrets: set[str]) -> str:
    scheme = ""
    if not header.endswith("authentication-info"):
        scheme, _, value = value.partition(" ")
        if scheme.lower() != "digest":
            return f"{scheme} {HIDDEN}" if value and scheme.isalpha() else HIDDEN
        scheme += " "
    shown = []
    for name, given in _PARAMETER.findall(value):
        if name.lower() in _SHOWN and not _SWALLOWED.search(given):
            shown.append(f"{name}={given}")
            continue
        plain = given.strip('"')
        if len(plain) >= _LEAST_SECRET:
            secrets.add(plain)
        if name.lower() in _KNOWN:
            shown.append(f"{name}={HIDDEN}")
    return scheme + ", ".join(shown)
