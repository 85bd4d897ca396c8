"""Which registrars refused a REGISTER for good: that says of their proofs what a question would.

An older answer to a question is not believed beside it; the next question may say otherwise.
"""

from collections.abc import Iterable

from registrations.proving import Proof
from registrations.report import Heard
from registrations.store.sql import LONGEST_TEXT, changed, packed, rows, stamp
from registrations.values import Verdict

UNKNOWN = frozenset({404, 604})
"""It does not know the address of record."""

_COLUMNS = {
    "registration_id": "bigint",
    "server_id": "bigint",
    "at": "timestamptz",
    "proof": "text",
    "code": "integer",
    "reason": "text",
}


def is_refusal(heard: Heard) -> bool:
    """Say whether the server would not take this line, as far as this answer goes."""
    return heard.verdict == Verdict.REFUSED or heard.code in UNKNOWN


def note_refusals(heard: Iterable[tuple[int, Heard]]) -> None:
    """Keep these refusals as what is known of these registrations there."""
    found = [
        {
            "registration_id": registration_id,
            "server_id": each.server_id,
            "at": stamp(each.at),
            "proof": (Proof.UNKNOWN_AOR if each.code in UNKNOWN else Proof.REFUSED).value,
            "code": each.code,
            "reason": each.sentence[:LONGEST_TEXT],
        }
        for registration_id, each in heard
    ]
    if not found:
        return
    changed(
        "UPDATE registrations_standbyproof AS p SET proof = x.proof, code = x.code, "
        "reason = x.reason, asked_at = x.at, "
        "refusals = CASE WHEN p.refusals > 0 THEN p.refusals ELSE 1 END, "
        "since = CASE WHEN p.proof = x.proof THEN p.since ELSE x.at END "
        f"FROM {rows(_COLUMNS)} "
        # Whoever asks right now knows better in a moment, and holds the row.
        "WHERE p.registration_id = x.registration_id AND p.server_id = x.server_id "
        "AND p.lease_token IS NULL AND (p.asked_at IS NULL OR p.asked_at < x.at)",
        [packed(found)],
    )
