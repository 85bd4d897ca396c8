"""From when on something is an incident: the numbers of a kind in words, and filled in."""

from typing import Any

from django import forms

from fleet.guarded_forms import Guarded
from registrations.incidents.limits import (
    FLAPPING,
    HORIZON,
    LIMITS,
    NUMBERS,
    SERVER_SILENT,
    Limit,
    faults,
)
from registrations.incidents.words import lasting
from registrations.models import IncidentLimit

LABELS = {
    "at_least": "From how many handsets",
    "percent": "And from how many of a hundred",
    "after_s": "After how many seconds",
    "good_s": "Over after how many seconds",
    "times": "From how many changes of a handset",
    "within_s": "Within how many seconds",
    "calm_s": "The last of them within how many seconds",
}
LABELS_OF = {
    (SERVER_SILENT, "times"): "Up again after how many good answers",
    (HORIZON, "within_s"): "Bindings that end within how many seconds",
}
HELP = {"good_s": "So long nothing may be wrong.", "percent": "Both must be reached."}


class LimitForm(Guarded):
    """The numbers that count for a kind. What is left empty is as Rollcall has it."""

    class Meta:
        model = IncidentLimit
        fields = tuple(LABELS)

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        kind = self.instance.kind
        self.fields = {name: _number(kind, name) for name in LABELS if name in NUMBERS[kind]}

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for name, sentence in faults(self.instance.kind, given).items():
            self.add_error(name, sentence)
        self.look_for_others()
        return given


def _number(kind: str, name: str) -> forms.Field:
    usual = getattr(LIMITS[kind], name)
    return forms.IntegerField(
        label=LABELS_OF.get((kind, name), LABELS[name]),
        required=False,
        help_text=f"Left empty: {usual:.0f}. {HELP.get(name, '')}".strip(),
    )


def rows() -> list[dict[str, Any]]:
    """Return each kind with its limit in words, and what it is by default where that differs."""
    return [
        {"row": row, "now": words(row.kind, row.limit), "usual": _usual(row)}
        for row in IncidentLimit.objects.order_by("pk")
    ]


def _usual(row: IncidentLimit) -> dict[str, str]:
    usual, now = words(row.kind, LIMITS[row.kind]), words(row.kind, row.limit)
    return {name: word for name, word in usual.items() if word != now[name]}


def words(kind: str, limit: Limit) -> dict[str, str]:
    """Return in words whom it must hit, for how long, when it is over, and what else counts."""
    return {
        "whom": _whom(limit) if "at_least" in NUMBERS[kind] else "",
        "after": lasting(limit.after_s) if limit.after_s else "at once",
        "over": lasting(limit.good_s),
        "else": _else(kind, limit),
    }


def _whom(limit: Limit) -> str:
    told = []
    if limit.at_least:
        told.append(f"{limit.at_least:,} handset{'' if limit.at_least == 1 else 's'}")
    if limit.percent:
        told.append(f"{limit.percent:g} %")
    return " and ".join(told) or "any"


def _else(kind: str, limit: Limit) -> str:
    within = lasting(limit.within_s)
    if kind == FLAPPING:
        return f"{limit.times} changes within {within}, the last within {lasting(limit.calm_s)}"
    if kind == SERVER_SILENT:
        answers = "good answer" if limit.times == 1 else "good answers"
        return f"it answers again after {limit.times} {answers} within {within}"
    return f"bindings that end within {within}" if kind == HORIZON else ""
