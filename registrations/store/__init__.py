"""The only hot SQL: claim, save, reserve, spread. Set-based, on PostgreSQL and SQLite.

Every write of a worker is fenced by the lease token of its claim: what a worker that slept past
its lease still wants to write finds no row. Transactions touch at most BATCH rows.
"""

from registrations.store.claim import Claimed, claim_due, extend, release
from registrations.store.clock import clock_was_set
from registrations.store.due import sites_with_work
from registrations.store.groups import GroupFacts, policy_of
from registrations.store.health import (
    DOUBT_EVERY_S,
    PROBE_EVERY_S,
    concerned,
    ensure_health,
    hear,
)
from registrations.store.newcomers import create
from registrations.store.noticed import Noticed
from registrations.store.observed import look_now
from registrations.store.pace import Slots, pause, reserve, reserve_slots, spread, spread_from
from registrations.store.places import is_literal
from registrations.store.probes import (
    ClaimedHealth,
    Probed,
    claim_probes,
    release_probes,
    save_probes,
)
from registrations.store.proofs import (
    ClaimedProof,
    claim_proofs,
    ensure_proofs,
    hasten_proofs,
    release_proofs,
)
from registrations.store.proved import Proved, save_proofs
from registrations.store.recovery import Broken, restart
from registrations.store.save import Change, Finished, Saved, record, save
from registrations.store.sql import BATCH
from registrations.store.turns import turns, write_turns

__all__ = [
    "BATCH",
    "DOUBT_EVERY_S",
    "PROBE_EVERY_S",
    "Broken",
    "Change",
    "Claimed",
    "ClaimedHealth",
    "ClaimedProof",
    "Finished",
    "GroupFacts",
    "Noticed",
    "Probed",
    "Proved",
    "Saved",
    "Slots",
    "claim_due",
    "claim_probes",
    "claim_proofs",
    "clock_was_set",
    "concerned",
    "create",
    "ensure_health",
    "ensure_proofs",
    "extend",
    "hasten_proofs",
    "hear",
    "is_literal",
    "look_now",
    "pause",
    "policy_of",
    "record",
    "release",
    "release_probes",
    "release_proofs",
    "reserve",
    "reserve_slots",
    "restart",
    "save",
    "save_probes",
    "save_proofs",
    "sites_with_work",
    "spread",
    "spread_from",
    "turns",
    "write_turns",
]
