"""Servers that refuse handsets they accepted before: *sick*, until they accept them again.

One refusal is one handset's matter. Many at once are the server's: then no handset is sent back
to it, and the group's `on_mass_rejection` says whether those it refuses go elsewhere.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from registrations.models import Registration, ServerAcceptance, ServerHealth, ServerPace, State
from registrations.store import chronicle
from registrations.store.chronicle import Turn, What
from registrations.store.noticed import Noticed
from registrations.store.pace import spread
from registrations.store.sql import (
    BATCH,
    changed,
    is_postgresql,
    lock_in_order,
    packed,
    rows,
    stamp,
)
from registrations.values import OnMassRejection, Verdict

WITHIN = timedelta(seconds=60)
AT_LEAST = 10
SHARE = 0.02
"""More than this share of the handsets it accepted before, and at least AT_LEAST, within WITHIN."""

Pair = tuple[int, int]


def note(heard: Sequence[Noticed]) -> list[Pair]:
    """Take up acceptances and refusals; return the (server, site) pairs of servers that changed.

    Costs nothing for a renewal that went as the one before.
    """
    accepted = [n for n in heard if n.accepts and n.is_register and n.before != Verdict.BOUND]
    refused = [n for n in heard if n.refuses and n.is_register and n.before != Verdict.REFUSED]
    if not (accepted or refused):
        return []
    with transaction.atomic():
        _accept([n for n in accepted if not n.is_fetch])
        _refuse([n for n in refused if not n.is_fetch])
    at = datetime.fromtimestamp(max(n.at for n in heard), UTC)
    changes = [server for server in {n.server_id for n in refused} if _fell_sick(server, at)]
    changes += [server for server in {n.server_id for n in accepted} if _recovered(server, at)]
    health = ServerHealth.objects.filter(server_id__in=changes)
    return list(health.values_list("server_id", "site_id"))


_COLUMNS = {"server_id": "bigint", "registration_id": "bigint", "at": "timestamptz"}


def _accept(accepted: Sequence[Noticed]) -> None:
    if accepted:
        changed(
            "INSERT INTO registrations_serveracceptance (server_id, registration_id) "
            f"SELECT v.id, r.id FROM {rows(_COLUMNS)} JOIN fleet_server v ON v.id = x.server_id "
            "JOIN registrations_registration r ON r.id = x.registration_id WHERE TRUE "
            "ORDER BY v.id, r.id ON CONFLICT (server_id, registration_id) "
            "DO UPDATE SET refused_at = NULL",
            [_packed(accepted)],
        )


def _refuse(refused: Sequence[Noticed]) -> None:
    if refused:
        at = "x.at::timestamptz" if is_postgresql() else "x.at"
        changed(
            f"UPDATE registrations_serveracceptance AS a SET refused_at = {at} "
            f"FROM {rows(_COLUMNS)} WHERE a.server_id = x.server_id "
            "AND a.registration_id = x.registration_id AND a.refused_at IS NULL",
            [_packed(refused)],
        )


def _packed(noticed: Sequence[Noticed]) -> str:
    last = {(n.server_id, n.registration_id): n.at for n in noticed}
    return packed(
        [
            {"server_id": server, "registration_id": registration, "at": stamp(at)}
            for (server, registration), at in sorted(last.items())
        ]
    )


def _refused_lately(server_id: int, at: datetime) -> int:
    return ServerAcceptance.objects.filter(server_id=server_id, refused_at__gt=at - WITHIN).count()


def _is_mass(server_id: int, refused: int) -> bool:
    if refused < AT_LEAST:
        return False
    return refused > SHARE * ServerAcceptance.objects.filter(server_id=server_id).count()


def _fell_sick(server_id: int, at: datetime) -> bool:
    if ServerPace.objects.filter(server_id=server_id, sick_since__isnull=False).exists():
        return False
    refused = _refused_lately(server_id, at)
    if not _is_mass(server_id, refused):
        return False
    with transaction.atomic():
        ServerPace.objects.update_or_create(
            server_id=server_id, defaults={"sick_since": at, "refused": refused}
        )
        said = f"It refused {refused} handsets within a minute."
        chronicle.record([Turn(server_id, at, What.SICK, What.WELL, reason=said)])
    homeless = Q(state__in=(State.REJECTED, State.UNREGISTERED))
    _ask_again(server_id, homeless & Q(group__on_mass_rejection=OnMassRejection.FAILOVER))
    return True


def _recovered(server_id: int, at: datetime) -> bool:
    """It accepts again: those it refused may ask anew, at the pace it takes."""
    sick = ServerPace.objects.filter(server_id=server_id, sick_since__isnull=False)
    if not sick.exists() or _is_mass(server_id, _refused_lately(server_id, at)):
        return False
    with transaction.atomic():
        if not sick.update(sick_since=None, refused=0):
            return False
        chronicle.record([Turn(server_id, at, What.WELL, What.SICK)])
    # Those who went elsewhere too: it was for Rollcall's reason, not by their own rule.
    _ask_again(server_id, ~Q(state=State.DISABLED))
    ServerAcceptance.objects.filter(server_id=server_id, refused_at__isnull=False).update(
        refused_at=None
    )
    return True


def _ask_again(server_id: int, whom: Q) -> None:
    """Let these of the handsets it refused forget it: they have somewhere to go now."""
    there = Registration.objects.filter(
        whom,
        acceptances__server=server_id,
        acceptances__refused_at__isnull=False,
    )
    ids = list(there.order_by("pk").values_list("pk", flat=True))
    caps = there.values_list("group__max_registrations_per_second", flat=True)
    rate = caps.first() or 0
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        with transaction.atomic():
            lock_in_order(batch)
            Registration.objects.filter(pk__in=batch, wish="").update(
                wish="resume", wish_version=F("wish_version") + 1
            )
    spread(ids, rate)
