"""The targets of claimed rows whose servers are configured by name.

What the process knows is used at once; only what it does not know is waited for. A group's own
records (the handset's `dns.cache`) stand in where DNS has nothing or does not answer: for their
TTL from the first use, then DNS is asked again; what DNS says always goes first.
"""

import random
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from registrations.keeping import Entry
from registrations.runtime.clock import steady
from registrations.runtime.resolver import Resolver
from registrations.sip.targets import Answer, Located, Question, Record, locate
from registrations.store import Claimed, GroupFacts
from registrations.values import Target

MOST_IN_USE = 10_000

_Use = tuple[int, Question, tuple[Record, ...]]


class Addressing:
    """Turns names into targets. One per process, on the loop's thread."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._in_use: OrderedDict[_Use, float] = OrderedDict()

    def at_hand(self, claimed: Claimed) -> Claimed | None:
        """Return the row with its targets; None where DNS must be asked first."""
        group = claimed.group
        if not group.names:
            return claimed
        found: dict[int, Located] = {}
        for server_id, wanted in group.names.items():
            found[server_id] = self._walk(group, wanted, {}, claimed.registration_id)
            if found[server_id].open:
                return None
        return _with_targets(claimed, found)

    async def find(self, claimed: Claimed) -> Claimed:
        """Return the row with its targets, however long DNS takes (see resolver.PATIENCE_S)."""
        found = await self.located(claimed.group, claimed.registration_id)
        return _with_targets(claimed, found)

    async def located(self, group: GroupFacts, seed: int) -> dict[int, Located]:
        """Return where the servers configured by name are, by server; `seed` draws among equals."""
        answers: dict[int, dict[Question, Answer]] = {key: {} for key in group.names}
        while True:
            found = {
                key: self._walk(group, wanted, answers[key], seed)
                for key, wanted in group.names.items()
            }
            questions = {question for located in found.values() for question in located.open}
            if not questions:
                return found
            said = await self._resolver.ask(questions)
            for key, located in found.items():
                for question in located.open:
                    answers[key][question] = self._or_cached(group, question, said[question])

    def _walk(
        self, group: GroupFacts, wanted: Target, answers: dict[Question, Answer], seed: int
    ) -> Located:
        """Go as far as is possible without asking; adds what it used to `answers`."""
        while True:
            # The same draw each time: a line keeps its place as long as the records stay.
            draw = random.Random(f"{seed}/{wanted.address}").random  # noqa: S311 - shares out load
            located = locate(wanted, answers, draw)
            known = {question: self._known(group, question) for question in located.open}
            fresh = {question: answer for question, answer in known.items() if answer is not None}
            if not fresh:
                return located
            answers |= fresh

    def _known(self, group: GroupFacts, question: Question) -> Answer | None:
        known = self._resolver.known(question)
        if known is not None:
            return self._or_cached(group, question, known)
        records = group.records.get(question)
        if records and self._in_use.get((group.group_id, question, records), 0.0) > steady():
            return Answer(records)
        return None

    def _or_cached(self, group: GroupFacts, question: Question, said: Answer) -> Answer:
        """Return what DNS said, or the group's own records where that is nothing."""
        records = group.records.get(question)
        if said.records or not records:
            return said
        key = (group.group_id, question, records)
        if self._in_use.get(key, 0.0) <= steady():
            self._in_use[key] = steady() + min(record.ttl for record in records)
            self._in_use.move_to_end(key)
            while len(self._in_use) > MOST_IN_USE:
                self._in_use.popitem(last=False)
        return Answer(records)


def _with_targets(claimed: Claimed, found: Mapping[int, Located]) -> Claimed:
    entries = tuple(_expanded(entry, found.get(entry.server_id)) for entry in claimed.group.entries)
    return replace(claimed, group=replace(claimed.group, entries=entries))


def _expanded(entry: Entry, located: Located | None) -> Entry:
    if located is None:
        return entry
    return replace(entry, targets=located.targets, unresolved=located.unresolved)
