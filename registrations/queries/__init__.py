"""What is shown: registrations with their derived state, sums, history. Constant query counts.

`unknown` is never stored. `shown(now)` derives it in SQL, and pages, API, filters, summary and the
live socket all read that one expression. Times in rows are ISO 8601 in UTC; times in words are in
the site's zone.
"""

from registrations.queries.census import Series, census
from registrations.queries.events import AT_ONCE as EVENTS_AT_ONCE
from registrations.queries.events import Feed, is_too_old, newest
from registrations.queries.filters import RegistrationFilter, matching
from registrations.queries.findings import FindingFilter, FindingKind, finding_row, findings
from registrations.queries.flat import Seen, rows, seen, stamped, stamps
from registrations.queries.history import CAUSES, TransitionFilter, transition_row, transitions
from registrations.queries.holds import Holds, at_place_of, holds_at, weekly, zones_of
from registrations.queries.incidents import (
    DeliveryFilter,
    IncidentFilter,
    deliveries,
    incident_limits,
    incident_row,
    incidents,
    open_incidents,
)
from registrations.queries.leaves import COUNTED, Leaf, Mark, count, leaf
from registrations.queries.limits import TooLong, by_index
from registrations.queries.moves import moves
from registrations.queries.order import ORDERS, ordered
from registrations.queries.paging import Pager
from registrations.queries.past import Difference, between, counts_at, fleet_at, of_handset
from registrations.queries.places import addresses
from registrations.queries.readiness import (
    Hour,
    ProofFilter,
    ReadinessFilter,
    in_full,
    proof_counts,
    proof_row,
    proofs,
    proofs_of_held,
    readiness_hours,
    refusals,
)
from registrations.queries.renewals import Renewals, lines_on, renewals
from registrations.queries.report_form import ReportForm
from registrations.queries.reports import SHARES, Period, report, whole
from registrations.queries.reports import Row as ReportRow
from registrations.queries.rows import (
    BOUND,
    GRACE,
    UNSERVED,
    Shown,
    plain,
    registrations,
    role_of,
    row,
    shown,
    state_word,
    with_memory,
)
from registrations.queries.server_changes import (
    ServerChangeFilter,
    server_change_row,
    server_changes,
)
from registrations.queries.summary import (
    fleet_zone,
    headline,
    no_counts,
    server_condition,
    server_trouble,
    summary,
)
from registrations.queries.then_filter import THEN_FILTERS, then_condition
from registrations.queries.troubles import Place, silent_places, troubles_at
from registrations.queries.words import (
    clock,
    day_before,
    moment,
    plain_mac,
    zone_name,
    zone_of,
)

__all__ = [
    "DeliveryFilter",
    "IncidentFilter",
    "deliveries",
    "incident_limits",
    "incident_row",
    "incidents",
    "open_incidents",
    "Difference",
    "EVENTS_AT_ONCE",
    "Feed",
    "is_too_old",
    "newest",
    "FindingFilter",
    "FindingKind",
    "finding_row",
    "findings",
    "between",
    "by_index",
    "counts_at",
    "fleet_at",
    "of_handset",
    "Period",
    "ReportForm",
    "ReportRow",
    "SHARES",
    "TooLong",
    "report",
    "whole",
    "BOUND",
    "CAUSES",
    "COUNTED",
    "THEN_FILTERS",
    "GRACE",
    "Holds",
    "Hour",
    "Leaf",
    "Mark",
    "ORDERS",
    "Pager",
    "Place",
    "ProofFilter",
    "ReadinessFilter",
    "RegistrationFilter",
    "Renewals",
    "Series",
    "ServerChangeFilter",
    "Seen",
    "Shown",
    "UNSERVED",
    "addresses",
    "TransitionFilter",
    "census",
    "at_place_of",
    "clock",
    "count",
    "day_before",
    "fleet_zone",
    "headline",
    "holds_at",
    "in_full",
    "leaf",
    "lines_on",
    "matching",
    "moment",
    "moves",
    "no_counts",
    "ordered",
    "plain",
    "plain_mac",
    "proof_counts",
    "proof_row",
    "proofs",
    "proofs_of_held",
    "readiness_hours",
    "refusals",
    "registrations",
    "renewals",
    "role_of",
    "row",
    "rows",
    "server_change_row",
    "server_changes",
    "server_condition",
    "seen",
    "server_trouble",
    "shown",
    "stamped",
    "stamps",
    "silent_places",
    "state_word",
    "summary",
    "then_condition",
    "transition_row",
    "troubles_at",
    "transitions",
    "weekly",
    "with_memory",
    "zone_name",
    "zone_of",
    "zones_of",
]
