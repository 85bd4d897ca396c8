"""The only hot SQL: claim, save, reserve, spread. Set-based, on PostgreSQL and SQLite.

Every write of a worker is fenced by the lease token of its claim: what a worker that slept past
its lease still wants to write finds no row. Transactions touch at most BATCH rows.
"""

from registrations.store.claim import Claimed, GroupFacts, claim_due, extend, release
from registrations.store.health import (
    ClaimedHealth,
    Noticed,
    Probed,
    claim_probes,
    concerned,
    ensure_health,
    hear,
    release_probes,
    save_probes,
)
from registrations.store.pace import next_slot, reserve_slots, spread
from registrations.store.save import Change, Finished, Saved, record, save
from registrations.store.sql import BATCH

__all__ = [
    "BATCH",
    "Change",
    "Claimed",
    "ClaimedHealth",
    "Finished",
    "GroupFacts",
    "Noticed",
    "Probed",
    "Saved",
    "claim_due",
    "claim_probes",
    "concerned",
    "ensure_health",
    "extend",
    "hear",
    "next_slot",
    "record",
    "release",
    "release_probes",
    "reserve_slots",
    "save",
    "save_probes",
    "spread",
]
