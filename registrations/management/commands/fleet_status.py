"""`manage.py fleet_status`: where the fleet is, in one look."""

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Max
from django.utils import timezone

from registrations import queries
from registrations.models import Registration, State


class Command(BaseCommand):
    help = "Say in one sentence how the fleet is, then count it by state and by server."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="the same, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        heard_at = Registration.objects.aggregate(last=Max("heard_at"))["last"]
        summary = queries.summary(now) | {"heard_at": queries.moment(heard_at)}
        if options["json"]:
            self.stdout.write(json.dumps(summary, indent=2, ensure_ascii=False))
            return
        self.stdout.write(summary["headline"])
        self.stdout.write(_age(heard_at, now))
        self._table(["State", "Registrations"], _by_state(summary["states"]))
        self._table(["Group", "Server", "Role", "Holds", "Condition"], _by_server(summary))

    def _table(self, head: list[str], rows: list[list[str]]) -> None:
        if not rows:
            return
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        self.stdout.write("")
        for row in [head, *rows]:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())


def _age(heard_at: datetime | None, now: datetime) -> str:
    asked = f"As of {now:%Y-%m-%d %H:%M:%S} UTC"
    if heard_at is None:
        return f"{asked}; no server has answered any handset yet."
    seconds = max(0, round((now - heard_at).total_seconds()))
    return f"{asked}; a server last answered a handset {_span(seconds)} ago."


def _span(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _by_state(states: dict[str, int]) -> list[list[str]]:
    rows = []
    for state in State:
        rows.append([str(state.label), str(states[state.value])])
        if silent := states.get(f"{state.value}_silent"):
            rows.append([f"{state.label}, server silent", str(silent)])
    return rows


def _by_server(summary: dict[str, Any]) -> list[list[str]]:
    return [
        [group["name"], server["name"], server["role"], str(server["held"]), server["word"]]
        for group in summary["groups"]
        for server in group["servers"]
    ]
