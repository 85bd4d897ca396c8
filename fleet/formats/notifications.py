"""What a handset reports of itself: the XML of its event notifications, read with suspicion.

Events come bare or in a wrapper (`PolycomIPPhone`, `SpectralinkIPPhone`), several in one body. None
of them names the server it speaks of. DTDs and entities are refused, so nothing in a body can grow.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from xml.parsers import expat

from fleet.formats import values
from fleet.formats.decoding import Unreadable

MAX_BYTES = 16 * 1024
"""Of one body; an event has some 200."""
MAX_DEPTH = 8
MAX_ELEMENTS = 500
MAX_TEXT = 200
"""Characters read of one element; no field is as long."""
YEARS = range(2000, 2100)


class Kind(StrEnum):
    """What happened, as the handset says it."""

    REGISTERED = "registered"
    """A line's first registration; a renewal is not reported."""
    UNREGISTERED = "unregistered"
    """In order: it is switched off or restarts. A lost battery or network reports nothing."""
    NETWORK_UP = "network_up"
    STARTED = "started"


# Matched in any spelling. The last ones are the flags that switch them on: no public text has the
# elements themselves.
KINDS: Mapping[str, Kind] = {
    "lineregistrationevent": Kind.REGISTERED,
    "lineunregistrationevent": Kind.UNREGISTERED,
    "networkupevent": Kind.NETWORK_UP,
    "appinitializationevent": Kind.STARTED,
    "uiinitializationevent": Kind.STARTED,
    "tainitializationevent": Kind.STARTED,
}
FIELDS = frozenset({"phoneip", "macaddress", "linenumber", "timestamp"})


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a handset reports."""

    kind: Kind
    mac: str
    """Twelve lower-case hex digits; '' where it names none."""
    line: int | None
    told_at: datetime | None
    """By the handset's own clock; None where it cannot be read."""


def read(body: bytes) -> tuple[Event, ...]:
    """Return the events of a body, in order; those of other kinds are left out.

    Raises Unreadable with a sentence.
    """
    if len(body) > MAX_BYTES:
        raise Unreadable(f"A notification has {MAX_BYTES // 1024} KiB at most.")
    found = _Reader()
    try:
        # Several events have no root of their own; inside ours no DTD can stand.
        found.parser.Parse(b"<body>", False)
        found.parser.Parse(_PROLOGUE.sub(b"", body, count=1), False)
        found.parser.Parse(b"</body>", True)
    except expat.ExpatError as error:
        raise Unreadable(f"This is not XML: {expat.ErrorString(error.code)}.") from error
    if found.elements == 1 and body.strip():
        raise Unreadable("This is not XML: there is no element in it.")
    return tuple(found.events)


_PROLOGUE = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>)?")


@dataclass(slots=True)
class _Open:
    kind: Kind
    depth: int
    fields: dict[str, str] = field(default_factory=dict)


class _Reader:
    """Collects events while the parser walks through the elements."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.elements = self._depth = 0
        self._event: _Open | None = None
        self._field = ""
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _begin(self, element: str, _attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self.elements += 1
        if self._depth > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise Unreadable("This is nested too deep, or has too many elements.")
        name = element.lower()
        if self._event is None:
            if name in KINDS:
                self._event = _Open(KINDS[name], self._depth)
        elif self._depth == self._event.depth + 1 and name in FIELDS:
            self._field = name

    def _text(self, text: str) -> None:
        if self._event is not None and self._field:
            so_far = self._event.fields.get(self._field, "")
            self._event.fields[self._field] = (so_far + text)[:MAX_TEXT]

    def _end(self, _element: str) -> None:
        self._field = ""
        if self._event is not None and self._depth == self._event.depth:
            self.events.append(_event(self._event))
            self._event = None
        self._depth -= 1


def _event(told: _Open) -> Event:
    said = {name: text.strip() for name, text in told.fields.items()}
    number = said.get("linenumber", "")
    line = int(number) if re.fullmatch(r"[1-9]\d?", number, re.ASCII) else None
    return Event(told.kind, _mac(said.get("macaddress", "")), line, _at(said.get("timestamp", "")))


def _mac(text: str) -> str:
    if not text:
        return ""
    try:
        return values.mac(text)
    except ValueError:
        raise Unreadable("Its MACAddress is none.") from None


def _at(text: str) -> datetime | None:
    """Both ways are in use: `-08:00` and `-0600`. A time without a zone is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None or at.year not in YEARS:
        return None
    return at.astimezone(UTC)
