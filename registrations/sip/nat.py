"""Whether an address translation lies between us and a server: what its answer's Via tells."""

import re
from functools import lru_cache

_SEEN = re.compile(r";\s*(received|rport)\s*=\s*([^;,\s]+)", re.IGNORECASE)


def seen_as(via: str, sent_by: str) -> str:
    """Return host:port the server saw the request come from; '' where it is where it left (N2).

    `sent_by` is host:port of our own socket. RFC 3581: received and rport, as far as they are said.
    """
    head, _, after = via.partition(";branch=")
    return _seen_as(f"{head};{after.partition(';')[2]}", sent_by)


@lru_cache(maxsize=64)
def _seen_as(via: str, sent_by: str) -> str:
    """Without their branches the Vias of one socket's requests are all the same."""
    said = {name.lower(): value for name, value in _SEEN.findall(via)}
    host, _, port = sent_by.rpartition(":")
    seen = said.get("received", host).strip("[]").lower(), said.get("rport", port)
    if seen == (host.strip("[]").lower(), port):
        return ""
    return f"[{seen[0]}]:{seen[1]}" if ":" in seen[0] else f"{seen[0]}:{seen[1]}"
