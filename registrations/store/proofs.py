"""Standby proofs: one row per line and server of its group, claimed like other work."""

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from fleet.models import Server
from registrations import proving
from registrations.models import Registration, ServerHealth, SiteNetwork, StandbyProof
from registrations.observing import Contacts
from registrations.proving import Proof
from registrations.queries import refusals
from registrations.store import observed
from registrations.store.accounts import accounts_of
from registrations.store.groups import GroupFacts, groups_of
from registrations.store.pace import pauses
from registrations.store.sql import (
    BATCH,
    changed,
    is_postgresql,
    listed,
    seconds,
    stamp,
    token_text,
    within,
)
from registrations.values import Account, HostPort, Target

FIRST_ROUND_S = 0.36
"""New rows are first asked over so many seconds for each line, one round's length at most."""

Place = tuple[str, int]
"""Where a server is, as configured: what guards it counts the refusals of all who name it."""


@dataclass(slots=True)
class Known:
    """What the server said the time before."""

    proof: str
    code: int | None
    reason: str
    contacts: Contacts
    own_until: float | None
    asked_at: str
    """As the database spells it; '' where it was never asked."""

    @property
    def asked(self) -> float | None:
        """When that was (Unix seconds)."""
        return seconds(self.asked_at)


@dataclass(slots=True)
class ClaimedProof:
    """A question that is ours to ask."""

    proof_id: int
    token: str
    lease_until: float
    site_id: int
    registration_id: int
    server_id: int
    place: Place
    allowance: int
    """How many refusals the place may still give before it is left alone for a while."""
    refusals: int
    known: Known
    is_observed: bool
    """What it says of who is bound tells where the handset is."""
    account: Account
    group: GroupFacts
    paused: Mapping[HostPort, float]
    """Places that asked to be left alone, and until when (Unix seconds)."""

    @property
    def rate(self) -> float:
        """The server's cap of REGISTERs per second; 0: none."""
        return float(self.group.policy.max_registrations_per_second)

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where the server is; none where it is configured by name."""
        return next(e.targets for e in self.group.entries if e.server_id == self.server_id)


def claim_proofs(
    site_ids: Sequence[int], limit: int, lease_s: float, *, now: float | None = None
) -> list[ClaimedProof]:
    """Take up to `limit` due questions of these sites under a lease, the longest due first.

    Not taken: those for servers that are silent from there anyway or have refused too many of
    late, and all of a site whose own network is suspected.
    """
    if limit <= 0:
        return []
    started_at = time.time() if now is None else now
    suspected = SiteNetwork.objects.filter(site__in=site_ids, suspected_since__isnull=False)
    out = set(suspected.values_list("site", flat=True))
    allowed = _allowances(started_at)
    token, until = uuid.uuid4().hex, started_at + lease_s
    taken: list[tuple[Any, ...]] = []
    for site_id in site_ids:
        if site_id not in out and len(taken) < limit:
            more = limit - len(taken)
            not_asked = [*allowed.shut, *_silent(site_id)]
            taken += _take(site_id, not_asked, more, (token, until), started_at)
    return _with_facts(taken, token, until, allowed, started_at) if taken else []


@dataclass(frozen=True, slots=True)
class _Allowances:
    places: Mapping[int, Place]
    left: Mapping[Place, int]

    @property
    def shut(self) -> list[int]:
        return [pk for pk, place in self.places.items() if self.left[place] <= 0]


def _allowances(now: float) -> _Allowances:
    """How many refusals each place may still give."""
    refused = refusals(datetime.fromtimestamp(now, UTC))
    servers = Server.objects.order_by().values_list("pk", "address", "port")
    places = {pk: (address, port) for pk, address, port in servers}
    return _Allowances(places, {p: proving.BRAKE_AT - refused[p] for p in places.values()})


def _silent(site_id: int) -> list[int]:
    known = ServerHealth.objects.filter(site=site_id, condition=ServerHealth.Condition.SILENT)
    return list(known.values_list("server", flat=True))


def _take(
    site_id: int, not_asked: Sequence[int], limit: int, lease: tuple[str, float], now: float
) -> list[tuple[Any, ...]]:
    token, until = lease
    wanted = "" if settings.PROVE_EVERY else "AND is_observed "
    skip = "FOR UPDATE SKIP LOCKED" if is_postgresql() else ""
    with transaction.atomic():
        return changed(
            "UPDATE registrations_standbyproof SET lease_token = %s, due_at = %s WHERE id IN "
            "(SELECT id FROM registrations_standbyproof WHERE site_id = %s AND due_at <= %s "
            f"{wanted}AND NOT ({within('server_id')}) ORDER BY due_at LIMIT %s {skip}) "
            "RETURNING id, registration_id, server_id, site_id, refusals, is_observed, "
            "proof, code, reason, contacts, own_until, asked_at",
            [token_text(token), stamp(until), site_id, stamp(now), listed(not_asked), limit],
        )


def _with_facts(
    taken: list[tuple[Any, ...]], token: str, until: float, allowed: _Allowances, now: float
) -> list[ClaimedProof]:
    here = Registration.objects.filter(pk__in={row[1] for row in taken})
    lines = {pk: (line, group) for pk, line, group in here.values_list("pk", "line", "group")}
    accounts = accounts_of(line for line, _ in lines.values())
    groups = groups_of({group for _, group in lines.values()})
    paused = pauses(now)
    claimed = []
    for pk, registration_id, server_id, site_id, refused, is_observed, *known in taken:
        line, group = lines[registration_id]
        place = allowed.places[server_id]
        claimed.append(
            ClaimedProof(
                pk,
                token,
                until,
                site_id,
                registration_id,
                server_id,
                place,
                allowed.left[place],
                refused,
                _known(*known),
                bool(is_observed),
                accounts[line],
                groups[group],
                paused,
            )
        )
    return claimed


def _known(
    proof: str, code: int | None, reason: str, contacts: Any, own_until: Any, asked_at: Any
) -> Known:
    listed_then: Contacts = ()
    if contacts not in ("[]", []):
        kept = json.loads(contacts) if isinstance(contacts, str) else contacts
        listed_then = observed.contacts_of(kept)
    own = seconds(str(own_until)) if own_until else None
    return Known(proof, code, reason, listed_then, own, str(asked_at or ""))


def release_proofs(claimed: Iterable[ClaimedProof], due_at: float) -> None:
    """Give questions back unasked."""
    by_token: dict[str, list[int]] = defaultdict(list)
    for each in claimed:
        by_token[each.token].append(each.proof_id)
    for token, ids in by_token.items():
        ours = StandbyProof.objects.filter(pk__in=ids, lease_token=uuid.UUID(token))
        ours.update(lease_token=None, due_at=datetime.fromtimestamp(due_at, UTC))


def hasten_proofs(now: float) -> int:
    """Let nobody wait longer than today's PROVE_EVERY has it; return how many that moved.

    Due times were set by the round of then, which a lower one must not have to wait for. Who was
    refused keeps its pause.
    """
    moved, every_s = 0, float(settings.PROVE_EVERY)
    for proof in set(Proof) - proving.REFUSALS if every_s else ():
        longest = proving.wait(proof, 0, every_s, lambda: 1.0)
        late = StandbyProof.objects.filter(
            proof=proof,
            is_observed=False,
            lease_token=None,
            due_at__gt=datetime.fromtimestamp(now + longest, UTC),
        ).order_by("pk")
        while ids := list(late.values_list("pk", flat=True)[:BATCH]):
            moved += len(ids)
            changed(
                f"UPDATE registrations_standbyproof SET due_at = {_soon()} "
                f"WHERE {within('id')} AND lease_token IS NULL RETURNING id",
                [stamp(now), longest, listed(ids)],
            )
    return moved


def ensure_proofs(line_ids: Sequence[int], now: float) -> None:
    """Keep exactly one row for each of these lines and each server that it may register with.

    All of them are asked soon: whatever changed may change the answer.
    """
    mine = within("r.line_id")
    wanted = (
        "SELECT r.id AS registration_id, v.id AS server_id, r.site_id, "
        "l.supervision = 'observe' AS is_observed "
        "FROM registrations_registration r JOIN fleet_line l ON l.id = r.line_id "
        "JOIN fleet_server v ON v.group_id = r.group_id "
        f"WHERE v.register AND l.supervision <> 'off' AND {mine}"
    )
    first_round_s = min(settings.PROVE_EVERY or 60, FIRST_ROUND_S * len(line_ids))
    with transaction.atomic():
        changed(
            "DELETE FROM registrations_standbyproof WHERE registration_id IN "
            f"(SELECT r.id FROM registrations_registration r WHERE {mine}) "
            "AND NOT EXISTS (SELECT 1 FROM registrations_registration q "
            "JOIN fleet_line l ON l.id = q.line_id JOIN fleet_server v ON v.group_id = q.group_id "
            "WHERE q.id = registrations_standbyproof.registration_id "
            "AND v.id = registrations_standbyproof.server_id AND v.register "
            "AND l.supervision <> 'off')",
            [listed(line_ids)],
        )
        changed(
            "INSERT INTO registrations_standbyproof (registration_id, server_id, site_id, "
            "is_observed, proof, reason, refusals, contacts, due_at) "
            f"SELECT w.*, 'unasked', '', 0, '[]', {_soon()} "
            f"FROM ({wanted}) AS w WHERE TRUE ON CONFLICT (registration_id, server_id) "
            "DO UPDATE SET site_id = EXCLUDED.site_id, is_observed = EXCLUDED.is_observed, "
            "refusals = 0, due_at = CASE WHEN "
            "registrations_standbyproof.due_at > EXCLUDED.due_at THEN EXCLUDED.due_at "
            "ELSE registrations_standbyproof.due_at END",
            [stamp(now), first_round_s, listed(line_ids)],
        )


def _soon() -> str:
    """A moment drawn for each row, within so many seconds from then on: two parameters."""
    if is_postgresql():
        return "%s::timestamptz + random() * %s * interval '1 second'"
    share = "(ABS(RANDOM() %% 1000) / 1000.0)"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', %s, '+' || ({share} * %s) || ' seconds')"
