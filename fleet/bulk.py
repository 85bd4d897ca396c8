"""Changing many handsets at once: what would change is told first, then all of it is done or none.

Whom it is about is a list of lines. A group, a site and tags are the handset's, so its other lines
go along; how it is supervised is each line's own.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from django.db import transaction

from fleet import audit, importing, inventory
from fleet.models import Handset, Line, ServerGroup, Site

EXAMPLES = 5
SHOWN = 12
"""Rows of a preview."""
MUST_TYPE = 10
REGISTER = Line.Supervision.REGISTER


class Stale(Exception):
    """Somebody changed what was looked at; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be so afterwards; what is empty stays as it is."""

    group: ServerGroup | None = None
    site: Site | None = None
    supervision: str = ""
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.group, self.site, self.supervision, self.add_tags, self.remove_tags))

    def tags(self, before: Sequence[str]) -> list[str]:
        """Return what a handset's tags become."""
        kept = [tag for tag in before if tag not in self.remove_tags]
        return list(dict.fromkeys([*kept, *self.add_tags]))


@dataclass(slots=True)
class Preview:
    """What a change would do, as things are now."""

    lines: int = 0
    """That are meant and exist."""
    handsets: int = 0
    gone: int = 0
    """Lines that were meant and have been deleted since."""
    differing: dict[str, Counter[str]] = field(default_factory=dict)
    """By what changes: what it is now, and of how many (lines of supervision, else handsets)."""
    concerned: int = 0
    """Handsets of which anything changes."""
    beside: int = 0
    """Lines that were not meant, of handsets that change: they go along."""
    starting: int = 0
    """Lines that register from then on and do not now."""
    examples: list[str] = field(default_factory=list)
    mark: str = ""
    """Another as soon as anything told here is."""

    @property
    def all_rows(self) -> list[tuple[str, str, int]]:
        """What changes, what it is now, and of how many; the most first. Tags are one row."""
        rows = [
            (what, was, n)
            for what, counted in self.differing.items()
            for was, n in counted.most_common()
            if what != "tags"
        ]
        tagged = self.differing.get("tags", Counter()).total()
        return rows + [("tags", "", tagged)] * bool(tagged)

    @property
    def rows(self) -> list[tuple[str, str, int]]:
        return self.all_rows[:SHOWN]

    @property
    def more_rows(self) -> int:
        return max(0, len(self.all_rows) - SHOWN)

    @property
    def must_be_typed(self) -> bool:
        """So many would begin to register that whoever wants it says how many."""
        return self.starting > MUST_TYPE

    @property
    def said(self) -> str:
        return "1 handset" if self.concerned == 1 else f"{self.concerned} handsets"


@dataclass(slots=True)
class _Plan:
    seen: Preview
    handsets: list[Handset] = field(default_factory=list)
    """As they are to be."""
    lines: list[int] = field(default_factory=list)
    """Whose supervision changes."""
    before: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """By what changes and what it was: whose."""


def preview(line_ids: Iterable[int], change: Change) -> Preview:
    """Return what `change` would do to the handsets of these lines."""
    return _plan(sorted(set(line_ids)), change).seen


@transaction.atomic
def apply(line_ids: Iterable[int], change: Change, mark: str) -> Preview:
    """Do it, announce it and write it down as one. Raises Stale where the preview was another."""
    ids = sorted(set(line_ids))
    for some in _batches(ids):
        # In one order everywhere, so that two at once wait for each other instead of locking up.
        held = Handset.objects.select_for_update().filter(lines__in=some).order_by("pk")
        list(held.values_list("pk", flat=True))
    plan = _plan(ids, change)
    if plan.seen.mark != mark:
        raise Stale(
            "This is not what was previewed: somebody changed these handsets since, or the form "
            "was changed. Nothing was done."
        )
    importing.upsert(plan.handsets, ("mac",), importing.HANDSET_FIELDS)
    for some in _batches(plan.lines):
        Line.objects.filter(pk__in=some).update(supervision=change.supervision, waits=False)
    if plan.before:
        _write_down(plan, change)
    inventory.announce_ids([*plan.lines, *_moved_lines(plan, change)])
    return plan.seen


def _plan(ids: Sequence[int], change: Change) -> _Plan:
    plan = _Plan(Preview())
    digest = blake2b(repr((_wanted(change), ids)).encode(), digest_size=12)
    differing: dict[str, Counter[str]] = defaultdict(Counter)
    done: set[int] = set()
    for line in _lines(ids):
        handset = line.handset
        facts = (line.pk, line.supervision, handset.pk, handset.group_id, handset.site_id)
        digest.update(json.dumps([*facts, handset.tags]).encode())
        plan.seen.lines += 1
        changes: dict[str, str] = {}
        if change.supervision and line.supervision != change.supervision:
            changes["supervision"] = line.get_supervision_display()
            plan.lines.append(line.pk)
            plan.seen.starting += change.supervision == REGISTER
        if handset.pk not in done:
            done.add(handset.pk)
            own = _differing(handset, change)
            changes |= own
            if own:
                plan.handsets.append(handset)
        for what, was in changes.items():
            differing[what][was] += 1
            plan.before.setdefault(what, {}).setdefault(was, []).append(_name(what, line))
        if changes and len(plan.seen.examples) < EXAMPLES:
            plan.seen.examples.append(str(handset))
    plan.seen.handsets = len(done)
    plan.seen.gone = len(ids) - plan.seen.lines
    plan.seen.differing = dict(differing)
    plan.seen.concerned = len({*(h.pk for h in plan.handsets), *_handsets_of(plan.lines)})
    plan.seen.beside = len(set(_moved_lines(plan, change)) - set(ids))
    plan.seen.mark = digest.hexdigest()
    return plan


def _wanted(change: Change) -> tuple[Any, ...]:
    group, site = change.group and change.group.pk, change.site and change.site.pk
    return group, site, change.supervision, change.add_tags, change.remove_tags


def _lines(ids: Sequence[int]) -> Iterator[Line]:
    read = Line.objects.select_related("handset__group", "handset__site")
    unread = read.defer("auth_password", "search_text", "handset__search_text").order_by("pk")
    seen: dict[int, Handset] = {}
    for some in _batches(ids):
        for line in unread.filter(pk__in=some):
            # One object for all lines of a handset: it is changed once.
            line.handset = seen.setdefault(line.handset_id, line.handset)
            yield line


def _differing(handset: Handset, change: Change) -> dict[str, str]:
    """Change what differs; return what it was, in words."""
    found: dict[str, str] = {}
    for name, wanted in (("group", change.group), ("site", change.site)):
        if wanted is not None and getattr(handset, f"{name}_id") != wanted.pk:
            found[name] = str(getattr(handset, name))
            setattr(handset, name, wanted)
    tags = change.tags(handset.tags)
    if tags != handset.tags:
        found["tags"] = ", ".join(handset.tags) or "none"
        handset.tags = tags
    return found


def _name(what: str, line: Line) -> str:
    """Whose value it was, for the audit log."""
    return f"{line.handset.mac} {line.number}" if what == "supervision" else line.handset.mac


def _handsets_of(line_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for some in _batches(line_ids):
        found.update(Line.objects.filter(pk__in=some).values_list("handset_id", flat=True))
    return found


def _moved_lines(plan: _Plan, change: Change) -> list[int]:
    """The lines of the handsets that get another group or site; tags wake nobody."""
    found: list[int] = []
    if change.group is None and change.site is None:
        return found
    for some in _batches([handset.pk for handset in plan.handsets]):
        found += Line.objects.filter(handset__in=some).values_list("pk", flat=True)
    return found


def _write_down(plan: _Plan, change: Change) -> None:
    after = {
        "group": str(change.group),
        "site": str(change.site),
        "supervision": change.supervision,
        "tags": " ".join(
            [*(f"+{tag}" for tag in change.add_tags), *(f"-{tag}" for tag in change.remove_tags)]
        ),
    }
    changes = {
        what: [", ".join(f"{was} ({n})" for was, n in counted.most_common(20)), after[what]]
        for what, counted in plan.seen.differing.items()
    }
    audit.record_many(Handset, plan.seen.said, changes, before=plan.before)


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return importing.batches(ids, inventory.AT_ONCE)


def written(ids: Iterable[int]) -> str:
    """Return ids as ranges (`1-500,503`), so that thousands of them travel in one field."""
    found: list[list[int]] = []
    for pk in sorted(set(ids)):
        if found and found[-1][1] == pk - 1:
            found[-1][1] = pk
        else:
            found.append([pk, pk])
    return ",".join(f"{low}-{high}" if high > low else str(low) for low, high in found)


MOST = 100_000
"""Lines in one change."""


def read(text: str) -> list[int]:
    """Return the ids that `written` wrote. Raises ValueError for anything else, or too many."""
    ids: list[int] = []
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        if not low.isdecimal() or (high and not high.isdecimal()) or len(part) > 40:
            raise ValueError(f"{part[:40]!r} is no range of ids.")
        ends = range(int(low), int(high or low) + 1)
        if len(ids) + len(ends) > MOST:
            raise ValueError(f"At most {MOST} lines can be changed at once.")
        ids += ends
    return ids
