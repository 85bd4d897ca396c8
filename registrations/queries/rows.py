"""Registrations as shown: the derived state, its words, its row."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.db.models import Case, CharField, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Least

from fleet import reach
from fleet.models import Server, ServerGroup
from registrations.models import Registration, ServerHealth, SiteNetwork, State
from registrations.queries.words import clock, moment

GRACE = timedelta(seconds=10)
"""How long past its due time a row is still believed (design: past due or lease end by 10 s)."""

LOOK_GRACE = timedelta(seconds=60)
"""The same for the next look at a line that is only observed; no agent is due for it."""

BOUND = (State.PRIMARY, State.SECONDARY, State.FALLBACK)
"""The states in which a server holds a binding."""

UNSERVED = (State.UNREGISTERED, State.REJECTED, State.UNKNOWN)
"""The states in which no server is known to hold one although it should."""


def is_unknown(now: datetime) -> Q:
    """Return the condition under which nobody can say where a row is at `now`.

    Its work is overdue by GRACE (`due_at` is the lease's end while an agent works on it), or the
    next look at it by LOOK_GRACE; its binding ran out unnoticed, or its site's own network is
    suspected.
    """
    suspected, overdue, expired = _doubts(now)
    return suspected | overdue | expired


def _doubts(now: datetime) -> tuple[Q, Q, Q]:
    is_on = ~Q(state=State.DISABLED)
    networks = SiteNetwork.objects.filter(suspected_since__isnull=False)
    suspected = Q(site__in=networks.values("site")) & is_on
    overdue = Q(due_at__lt=now - GRACE) | Q(due_at=None, next_attempt_at__lt=now - LOOK_GRACE)
    return suspected, overdue & is_on, Q(expires_at__lt=now, state__in=BOUND)


def shown_since(now: datetime) -> Case:
    """Return since when a row is what it is shown as: unknown not since we looked."""
    suspected, overdue, expired = _doubts(now)
    return Case(
        When(suspected, then=F("site__network__suspected_since")),
        When(overdue & expired, then=Least("expires_at", Coalesce("due_at", "next_attempt_at"))),
        When(expired, then=F("expires_at")),
        When(overdue, then=Coalesce("due_at", "next_attempt_at")),
        default=F("since"),
    )


def shown(now: datetime) -> dict[str, Combinable]:
    """Return the annotations `shown_state`, `shown_since` and `silent_since` for Registration."""
    unknown = is_unknown(now)
    silent = ServerHealth.objects.filter(
        server=OuterRef("server"), site=OuterRef("site"), condition=ServerHealth.Condition.SILENT
    )
    return {
        "shown_state": Case(
            When(unknown, then=Value(State.UNKNOWN.value)),
            default=F("state"),
            output_field=CharField(),
        ),
        "shown_since": shown_since(now),
        "silent_since": Case(
            When(unknown, then=None),
            When(state__in=BOUND, then=Subquery(silent.values("since")[:1])),
            default=None,
        ),
    }


class Shown(QuerySet[Registration]):
    """Registrations as shown at one moment, `now`, which their filters and orders share."""

    now: datetime

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone.now = self.now
        return clone


def plain(now: datetime) -> Shown:
    """Return all registrations, to be filtered and counted: nothing of them is derived yet."""
    rows = Shown(Registration)
    rows.now = now
    return reach.of(rows)


def registrations(now: datetime) -> Shown:
    """Return all registrations as shown at `now`, with everything `row` reads, in one query."""
    related = plain(now).select_related("line__handset", "group", "site", "server", "assumed_on")
    unread = ("line__auth_password", "line__search_text", "line__handset__search_text", "snapshot")
    return related.defer(*unread).annotate(**shown(now))


def with_memory(rows: QuerySet[Registration]) -> QuerySet[Registration]:
    """Return rows of `registrations` with what their agents keep, which explains them."""
    return rows.defer(None).defer("line__auth_password")


def role_of(server: Server | None, mode: str) -> str | None:
    """Return what a server is to its group: primary, secondary or fallback; None without one."""
    if server is None:
        return None
    if server.priority == 1:
        return State.PRIMARY.value
    return (State.FALLBACK if mode == ServerGroup.Mode.FALLBACK else State.SECONDARY).value


def assumed_word(registration: Any) -> str:
    """Return where its calls go without a registration there; '' where they do not."""
    server = registration.assumed_on
    if server is None or registration.shown_state not in BOUND:
        return ""
    role = "primary" if server.priority == 1 else "secondary"
    return f"Assumed on {role} {server} (shared registration, not confirmed)"


def state_word(registration: Any) -> str:
    """Return the shown state as words, times in the site's zone; takes a row of `registrations`."""
    zone = registration.site.time_zone
    return _placed_word(registration, zone) + _stuck_word(registration, zone)


def _stuck_word(registration: Any, zone: str) -> str:
    """Return what is added to the state of a line whose agent came to no end."""
    if registration.stuck_since is None:
        return ""
    return f", stuck since {clock(registration.stuck_since, zone)}"


def _placed_word(registration: Any, zone: str) -> str:
    word = str(State(registration.shown_state).label)
    if registration.shown_state == State.UNKNOWN:
        return f"{word} since {clock(registration.shown_since, zone)}"
    if assumed := assumed_word(registration):
        ends = registration.expires_at
        until = f" until {clock(ends, zone)}" if ends is not None else ""
        return f"{assumed}; registered with {registration.server}{until}"
    lost = registration.server.lost_features if registration.server else []
    if registration.shown_state == State.FALLBACK and lost:
        word += f" (reduced features: {', '.join(map(str, lost))})"
    if registration.silent_since is not None:
        word += f", server silent since {clock(registration.silent_since, zone)}"
        if registration.expires_at is not None:
            word += f", binding ends {clock(registration.expires_at, zone)}"
    return word


def _ref(server: Server | None) -> dict[str, Any] | None:
    if server is None:
        return None
    return {"id": server.pk, "address": server.address, "port": server.port}


def row(registration: Any) -> dict[str, Any]:
    """Return one registration of `registrations(now)` as the API and the socket send it."""
    line, server = registration.line, registration.server
    return {
        "id": registration.pk,
        "handset": line.handset_id,
        "line": registration.line_id,
        "mac": line.handset.mac,
        "extension": line.extension,
        "name": line.handset.name,
        "group": registration.group_id,
        "group_name": registration.group.name,
        "site": registration.site_id,
        "site_name": registration.site.name,
        "state": registration.shown_state,
        "state_word": state_word(registration),
        "role": role_of(server, registration.group.mode),
        "server": _ref(server),
        "server_name": "" if server is None else str(server),
        "assumed_on": _ref(registration.assumed_on),
        "assumed_word": assumed_word(registration),
        "silent": registration.silent_since is not None,
        "server_silent_since": moment(registration.silent_since),
        "since": moment(registration.shown_since),
        "stuck_since": moment(registration.stuck_since),
        "expires_at": moment(registration.expires_at),
        "next_attempt_at": moment(registration.next_attempt_at),
        "supervision": line.supervision,
        "model": line.handset.model,
        "tags": line.handset.tags,
        "aor": str(line),
        "reason": registration.reason,
        "last_answer": registration.last_answer,
        "heard_at": moment(registration.heard_at),
    }
