"""Registrars that grant a registration for far less time than was asked: the renewal itself tells.

A grant as long as was asked writes nothing: whoever has one ends later than what is kept here.
"""

from collections.abc import Iterable

from registrations.observing import FAR_LESS
from registrations.report import Heard
from registrations.store.sql import changed, packed, rows, stamp

_COLUMNS = {
    "registration_id": "bigint",
    "server_id": "bigint",
    "granted_s": "integer",
    "until": "timestamptz",
}


def is_brief(heard: Heard, asked_s: int) -> bool:
    """Say whether the server took the binding for far less than the `asked_s` seconds wished."""
    return heard.granted is not None and heard.granted < FAR_LESS * asked_s


def note_brief(heard: Iterable[tuple[int, Heard]]) -> None:
    """Keep what these grants were and until when they last, by registration."""
    found = [
        {
            "registration_id": registration_id,
            "server_id": each.server_id,
            "granted_s": each.granted,
            "until": stamp(each.at + (each.granted or 0)),
        }
        for registration_id, each in heard
    ]
    if found:
        changed(
            "UPDATE registrations_standbyproof AS p SET granted_s = x.granted_s, "
            f"granted_until = x.until FROM {rows(_COLUMNS)} "
            "WHERE p.registration_id = x.registration_id AND p.server_id = x.server_id",
            [packed(found)],
        )
