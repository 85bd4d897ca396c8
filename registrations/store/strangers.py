"""Who else a registrar lists when it takes a binding: kept beside the proofs, for the findings.

A question would tell it too, at its time; a renewal is often sooner.
"""

import json
from collections.abc import Iterable

from registrations import observing
from registrations.report import Heard
from registrations.store.sql import changed, is_postgresql, packed, rows, stamp

_COLUMNS = {
    "registration_id": "bigint",
    "server_id": "bigint",
    "at": "timestamptz",
    "contacts": "text",
    "until": "timestamptz",
}


def note_strangers(heard: Iterable[tuple[int, Heard]]) -> None:
    """Keep what these answers list beside our own binding, by registration. Most list nobody."""
    found = [
        {
            "registration_id": registration_id,
            "server_id": each.server_id,
            "at": stamp(each.at),
            "contacts": json.dumps(contacts, ensure_ascii=False, separators=(",", ":")),
            "until": stamp(contacts[0][1]),
        }
        for registration_id, each in heard
        for contacts in [observing.listed(each.others, each.at)]
    ]
    if not found:
        return
    contacts = "x.contacts::jsonb" if is_postgresql() else "x.contacts"
    changed(
        f"UPDATE registrations_standbyproof AS p SET contacts = {contacts}, "
        "others_until = x.until, "
        # Who was never asked was not asked now either.
        "asked_at = CASE WHEN p.proof = 'unasked' THEN p.asked_at ELSE x.at END "
        f"FROM {rows(_COLUMNS)} "
        "WHERE p.registration_id = x.registration_id AND p.server_id = x.server_id",
        [packed(found)],
    )
