"""A group's own DNS records as lines of text, as a zone file has them and as dig prints them.

`NAME [TTL] [IN] TYPE DATA`, one record to a line; what follows a semicolon is a comment.
"""

import shlex
from collections.abc import Iterable, Sequence

from fleet.formats import dns_cache
from fleet.formats.dns_cache import DnsRow

DATA = {
    "A": ("address",),
    "SRV": ("priority", "weight", "port", "target"),
    "NAPTR": ("order", "preference", "flags", "service", "regexp", "replacement"),
}
"""The words after the type. A handset uses no regexp, so it stands there empty."""
_EMPTY = '""'


def written(rows: Iterable[DnsRow]) -> str:
    """Return the records as `read` reads them."""
    return "\n".join(map(_line, rows))


def _line(row: DnsRow) -> str:
    told = row.written()
    data = (_EMPTY if word == "regexp" else str(told[word]) for word in DATA[row.kind])
    return " ".join([row.name, str(row.ttl), row.kind, *data])


def read(text: str) -> tuple[list[DnsRow], list[str]]:
    """Return the records, and a sentence that names its line for whatever is wrong."""
    rows: list[DnsRow] = []
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = _words(line)
            rows += [_record(words)] if words else []
        except ValueError as error:
            wrong.append(f"Line {number}: {error}")
    if not wrong and (sentence := dns_cache.too_many(rows)):
        wrong.append(sentence)
    return rows, wrong


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, ";", '"', ""
    try:
        return list(lexer)
    except ValueError:
        raise ValueError("A quotation mark is not closed.") from None


def _record(words: Sequence[str]) -> DnsRow:
    name, *rest = words
    ttl = rest.pop(0) if rest and rest[0].isdecimal() else None
    if rest and rest[0].upper() == "IN":
        rest.pop(0)
    kind = dns_cache.kind(rest.pop(0) if rest else "")
    if len(rest) != len(DATA[kind]):
        raise ValueError(f"After {kind} come {', '.join(DATA[kind])}.")
    given: dict[str, object] = {"type": kind, "name": name}
    given |= zip(DATA[kind], rest, strict=True)
    if given.pop("regexp", ""):
        raise ValueError(f"The regexp must be {_EMPTY}: handsets use none.")
    row, wrong = dns_cache.read(given | ({"ttl": ttl} if ttl else {}))
    if row is None:
        raise ValueError(" ".join(wrong.values()))
    return row
