"""SIP messages without their secrets: what may be kept, shown and exported.

Of every header that carries credentials or a challenge only the parameters known to be harmless
keep their value; whatever else stands there, understood or not, is gone. The values hidden are
then hidden wherever else a message repeats them.
"""

import re
from collections.abc import Iterable
from functools import partial

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
_NUL = "\N{REPLACEMENT CHARACTER}".encode()
_LEAST_SECRET = 6
"""Characters: anything shorter would be hidden where it only looks the same."""


def masked(messages: Iterable[bytes]) -> list[str]:
    """Return the messages of one exchange as text, each without secrets, body and carriage returns.

    What one of them hides is hidden in all of them: a server may repeat our credentials elsewhere.
    """
    # All of them as one text: a step over it is paid once, not once for each message.
    whole = b"\0".join([message[:MOST_BYTES].replace(b"\0", _NUL) for message in messages])
    if not whole:
        return ["" for _ in messages]
    text = whole.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    secrets: set[str] = set()
    text = "\0".join([_masked(message, secrets) for message in text.split("\0")])
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text.split("\0")


def _masked(text: str, secrets: set[str]) -> str:
    head, blank, body = text.lstrip("\n").partition("\n\n")
    at = head.lower().find("auth")
    if at >= 0:
        # From the line on where such a name stands first: to look at every line is dear.
        start = head.rfind("\n", 0, at) + 1 if head.isascii() else 0
        head = head[:start] + _HEADER.sub(partial(_shown, secrets), head[start:])
    if body or not blank:
        head += "\n[the rest of this message is not kept]"
    return head


def _shown(secrets: set[str], found: "re.Match[str]") -> str:
    return f"{found[1]}: {_parameters(found[1].lower(), found[2].strip(), secrets)}"


def _parameters(header: str, value: str, secrets: set[str]) -> str:
    scheme = ""
    if not header.endswith("authentication-info"):
        scheme, _, value = value.partition(" ")
        if scheme.lower() != "digest":
            return f"{scheme} {HIDDEN}" if value and scheme.isalpha() else HIDDEN
        scheme += " "
    shown = []
    for name, given in _PARAMETER.findall(value):
        if name.lower() in _SHOWN and not ("=" in given and _SWALLOWED.search(given)):
            shown.append(f"{name}={given}")
            continue
        plain = given.strip('"')
        if len(plain) >= _LEAST_SECRET:
            secrets.add(plain)
        if name.lower() in _KNOWN:
            shown.append(f"{name}={HIDDEN}")
    return scheme + ", ".join(shown)
