"""Writing what questions came to: in full where it is new, else only when they were asked."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from registrations import observing, proving
from registrations.observing import LISTS, Contacts
from registrations.proving import Proof
from registrations.store import observed
from registrations.store.proofs import ClaimedProof
from registrations.store.sql import (
    BATCH,
    changed,
    is_postgresql,
    lock_in_order,
    packed,
    rows,
    stamp,
    text,
    token_text,
)


@dataclass(frozen=True, slots=True)
class Proved:
    """What a question came to."""

    claimed: ClaimedProof
    finding: proving.Finding
    at: float
    code: int | None
    contacts: Contacts = ()
    """Whom it lists beside our own agent."""
    own_until: float | None = None
    """Until when it lists our own agent (Unix seconds)."""

    @property
    def is_refusal(self) -> bool:
        return self.finding.proof in proving.REFUSALS

    @property
    def refusals(self) -> int:
        """Refusals in a row, this one among them."""
        return self.claimed.refusals + 1 if self.is_refusal else 0

    @property
    def is_the_same(self) -> bool:
        """Whether it says what it said before: then only the times are written."""
        known, proof = self.claimed.known, self.finding.proof
        if known.proof != proof or known.code != self.code or proof in proving.REFUSALS:
            return False
        if self.claimed.refusals or known.reason != text(self.finding.reason):
            return False
        if proof not in LISTS:
            return True
        return observing.is_same(known.contacts, self.contacts) and observing.is_as_long(
            known.own_until, self.own_until
        )

    @property
    def due_at(self) -> float:
        """When the next question is due."""
        every_s = float(settings.PROVE_EVERY)
        if self.claimed.is_observed:
            every_s = float(self.claimed.group.policy.observe_every)
        return self.at + proving.wait(self.finding.proof, self.refusals, every_s, random.random)


_SAME_COLUMNS = {
    "id": "bigint",
    "token": "uuid",
    "asked_before": "timestamptz",
    "at": "timestamptz",
    "due_at": "timestamptz",
}
_COLUMNS = {
    "id": "bigint",
    "token": "uuid",
    "proof": "text",
    "at": "timestamptz",
    "proved_at": "timestamptz",
    "code": "integer",
    "reason": "text",
    "refusals": "integer",
    "refused_at": "timestamptz",
    "lists": "boolean",
    "contacts": "text",
    "others_until": "timestamptz",
    "own_until": "timestamptz",
    "due_at": "timestamptz",
}


def save_proofs(proved: Sequence[Proved]) -> list[int]:
    """Write the answers whose lease is still ours; the others are dropped.

    Returns the observed registrations that are shown differently now.
    """
    moved: list[int] = []
    for start in range(0, len(proved), BATCH):
        batch = proved[start : start + BATCH]
        seen = [each for each in batch if each.claimed.is_observed]
        with transaction.atomic():
            lock_in_order({each.claimed.registration_id for each in seen})
            kept = _write_same([each for each in batch if each.is_the_same])
            kept |= _write([each for each in batch if each.claimed.proof_id not in kept])
            moved += observed.follow([_look(e) for e in seen if e.claimed.proof_id in kept])
    return moved


def _look(proved: Proved) -> observed.Look:
    claimed = proved.claimed
    return observed.Look(
        claimed.proof_id,
        claimed.registration_id,
        claimed.server_id,
        proved.at,
        proved.finding.proof,
        proved.contacts,
        claimed.known.contacts,
        claimed.known.asked,
    )


def _write_same(proved: Sequence[Proved]) -> set[int]:
    """Write when these were asked, and nothing else; return which rows still say what they said.

    Who was asked meanwhile by a renewal has another time: it is written in full.
    """
    same = [
        {
            "id": each.claimed.proof_id,
            "token": token_text(each.claimed.token),
            "asked_before": each.claimed.known.asked_at,
            "at": stamp(each.at),
            "due_at": stamp(each.due_at),
        }
        for each in proved
        if each.claimed.known.asked_at
    ]
    return _written(
        "asked_at = x.at, due_at = x.due_at, lease_token = NULL, "
        "proved_at = CASE WHEN p.proof = 'proved' THEN x.at ELSE p.proved_at END",
        _SAME_COLUMNS,
        same,
        "AND p.asked_at = x.asked_before",
    )


def _write(proved: Sequence[Proved]) -> set[int]:
    contacts = "x.contacts::jsonb" if is_postgresql() else "x.contacts"
    return _written(
        "since = CASE WHEN p.proof = x.proof THEN p.since ELSE x.at END, "
        "proof = x.proof, asked_at = x.at, proved_at = COALESCE(x.proved_at, p.proved_at), "
        "code = x.code, reason = x.reason, refusals = x.refusals, "
        f"contacts = CASE WHEN x.lists THEN {contacts} ELSE p.contacts END, "
        "others_until = CASE WHEN x.lists THEN x.others_until ELSE p.others_until END, "
        "own_until = CASE WHEN x.lists THEN x.own_until ELSE p.own_until END, "
        "refused_at = COALESCE(x.refused_at, p.refused_at), due_at = x.due_at, "
        "lease_token = NULL",
        _COLUMNS,
        [_row(each) for each in proved],
    )


def _written(
    what: str, columns: Mapping[str, str], found: Sequence[Mapping[str, Any]], also: str = ""
) -> set[int]:
    """Set that in the rows whose lease is still ours; return their ids."""
    if not found:
        return set()
    mine = "p." if is_postgresql() else ""
    ours = changed(
        f"UPDATE registrations_standbyproof AS p SET {what} FROM {rows(columns)} "
        f"WHERE p.id = x.id AND p.lease_token = x.token {also} RETURNING {mine}id",
        [packed(found)],
    )
    return {pk for (pk,) in ours}


def _row(proved: Proved) -> dict[str, Any]:
    proof, at = proved.finding.proof, stamp(proved.at)
    return {
        "id": proved.claimed.proof_id,
        "token": token_text(proved.claimed.token),
        "proof": proof.value,
        "at": at,
        "proved_at": at if proof is Proof.PROVED else None,
        "code": proved.code,
        "reason": text(proved.finding.reason),
        "refusals": proved.refusals,
        "refused_at": at if proved.is_refusal else None,
        "lists": proof in LISTS,
        "contacts": json.dumps(proved.contacts, ensure_ascii=False, separators=(",", ":")),
        "others_until": stamp(max((until for _, until in proved.contacts), default=None)),
        "own_until": stamp(proved.own_until),
        "due_at": stamp(proved.due_at),
    }
