"""Two transactions side by side: what differs, and what differs every time and so says nothing."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from registrations.trace.ladder import Transaction


class Kind(StrEnum):
    SAME = "same"
    DIFFERS = "differs"
    ALWAYS = "always"
    """It differs, as it does between any two tries."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of both: '' where one of them has none."""

    name: str
    one: str
    other: str
    kind: Kind


def compared(one: Transaction, other: Transaction) -> tuple[list[Row], list[Row]]:
    """Return the rows of the requests, and those of their last answers."""
    return _rows("Request", one.request, other.request), _rows("Answer", _last(one), _last(other))


def _last(transaction: Transaction) -> str:
    return transaction.answers[-1].text if transaction.answers else ""


def _rows(first: str, one: str, other: str) -> list[Row]:
    left, right = _lines(first, one), _lines(first, other)
    if not left or not right:
        # Where one is not there at all, that is the difference, and not every line of the other.
        return [_row(first, *(side[0][1] if side else "" for side in (left, right)))]
    matcher = SequenceMatcher(
        None, [name.lower() for name, _ in left], [name.lower() for name, _ in right], False
    )
    rows = []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(left[i:i_end], right[j:j_end], strict=True)
            rows += [_row(name, mine, theirs) for (name, mine), (_, theirs) in pairs]
        else:
            rows += [Row(name, value, "", Kind.DIFFERS) for name, value in left[i:i_end]]
            rows += [Row(name, "", value, Kind.DIFFERS) for name, value in right[j:j_end]]
    return rows


def _lines(first: str, text: str) -> list[tuple[str, str]]:
    """Split a message into names and values; the start line goes by the name `first`."""
    if not text:
        return []
    start, *rest = text.split("\n")
    found = [(first, start)]
    for line in rest:
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t", "[") or not colon:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        else:
            found.append((name.strip(), value.strip()))
    return found


def _row(name: str, one: str, other: str) -> Row:
    if one == other:
        return Row(name, one, other, Kind.SAME)
    plain = _PLAIN.get(name.lower(), _as_it_is)
    return Row(name, one, other, Kind.ALWAYS if plain(one) == plain(other) else Kind.DIFFERS)


def _as_it_is(value: str) -> str:
    return value


def _without(pattern: str) -> Callable[[str], str]:
    found = re.compile(pattern, re.IGNORECASE)
    return lambda value: found.sub("", value)


_PLAIN: Mapping[str, Callable[[str], str]] = {
    "via": _without(r";\s*branch=[^;]*"),
    "to": _without(r";\s*tag=[^;]*"),
    "cseq": _without(r"^\d+"),
    "date": _without(r".*"),
    "authorization": _without(r",?\s*nc=\w+"),
    "proxy-authorization": _without(r",?\s*nc=\w+"),
    "www-authenticate": _without(r",?\s*stale=\w+"),
    "proxy-authenticate": _without(r",?\s*stale=\w+"),
}
"""By header, what is left of a value when that is taken away which changes from try to try."""
