"""The columns of the list of handsets: their names, what sorts them, how their cells look.

A cell that changes by itself says so: `data-field` is filled by live.js, `data-part` by fleet.js.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from fleet.models import Line
from registrations.models import State
from registrations.templatetags.rollcall import age, chip, countdown, lasting, mac

register = template.Library()

Row = dict[str, Any]
Drawn = SafeString | str
NOTHING = "–"
SUPERVISION = {value: str(word) for value, word in Line.Supervision.choices}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `order` is its name in `queries.ORDERS`, '' where it has none."""

    key: str
    word: str
    order: str
    draw: Callable[[Row, str], Drawn]
    look: str = "late"
    label: str = ""
    """Said before the value where a row is drawn as a card."""
    live: str = ""
    """`part:NAME` or `field:NAME`: who keeps the cell current, under which name."""


def _name(row: Row, _zone: str) -> Drawn:
    return format_html(
        '<span class="two"><a id="open-{}" href="{}" data-open-row>{}</a>'
        '<span class="sub mono">{}</span></span>',
        row["id"],
        reverse("handset", args=[row["handset"]]),
        row["name"] or row["extension"],
        mac(row["mac"]),
    )


def _state(row: Row, _zone: str) -> Drawn:
    return format_html(
        '<span data-part="state">{}</span><span class="sub" data-part="assumed" {}>{}</span>',
        chip(row["state"], "", row["silent"]),
        "" if row["assumed_word"] else SafeString("hidden"),
        row["assumed_word"],
    )


def _next(row: Row, zone: str) -> Drawn:
    off = row["state"] == State.DISABLED
    return NOTHING if off else countdown(row["next_attempt_at"], zone)


def _tags(row: Row, _zone: str) -> Drawn:
    tags = format_html_join(" ", '<span class="tag">{}</span>', ((tag,) for tag in row["tags"]))
    return tags or NOTHING


def _text(field: str) -> Callable[[Row, str], Drawn]:
    return lambda row, _zone: row[field] or NOTHING


COLUMNS = {
    column.key: column
    for column in (
        Column("name", "Handset", "name", _name, "first"),
        Column("extension", "Extension", "extension", _text("extension"), "num late", "Ext."),
        Column("state", "State", "state", _state, "end first"),
        Column("server", "Server", "server", _text("server_name"), "", "", "field:server_name"),
        Column(
            *("since", "Since", "since", lambda row, zone: lasting(row["since"], zone)),
            *("nowrap end", "since", "part:since"),
        ),
        Column("next", "Next step", "next", _next, "nowrap end late", "next", "part:next"),
        Column(
            *("expires", "Binding ends", "expires"),
            lambda row, zone: countdown(row["expires_at"], zone),
            *("nowrap late", "binding ends", "part:expires"),
        ),
        Column(
            *("heard", "Last heard", "heard", lambda row, zone: age(row["heard_at"], zone)),
            *("nowrap late", "heard", "part:heard"),
        ),
        Column(
            *("answer", "Last answer", "", _text("last_answer"), "full soft late", "answer"),
            "field:last_answer",
        ),
        Column("reason", "Why", "", _text("reason"), "full soft late", "", "field:reason"),
        Column(
            *("assumed", "Assumed server", "", _text("assumed_word"), "full late", "assumed"),
            "field:assumed_word",
        ),
        Column("group", "Group", "group", _text("group_name"), "wide"),
        Column("site", "Site", "site", _text("site_name"), "wide"),
        Column("model", "Model", "model", _text("model"), "late", "model"),
        Column("tags", "Tags", "", _tags, "full late", "tags"),
        Column("aor", "Address of record", "", _text("aor"), "mono full late", "AOR"),
        Column("mac", "MAC", "mac", lambda row, _zone: mac(row["mac"]), "mono nowrap late", "MAC"),
        Column(
            *("supervision", "Supervision", ""),
            lambda row, _zone: SUPERVISION[row["supervision"]],
            *("late", "supervision"),
        ),
    )
}
ALWAYS = ("name", "state")
USUAL = ("name", "extension", "state", "server", "since", "next", "group", "site")


def known(keys: Iterable[str]) -> list[str]:
    """Those of `keys` that are columns, with the ones that are always there; [] for none."""
    wanted = {key for key in keys if key in COLUMNS}
    return [key for key in COLUMNS if key in wanted or key in ALWAYS] if wanted else []


@register.simple_tag
def cell(column: Column, row: Row, zone: str) -> SafeString:
    """One cell of the list."""
    kind, _, name = column.live.partition(":")
    live = format_html(' data-{}="{}"', kind, name) if kind else ""
    label = format_html(' data-label="{}"', column.label) if column.label else ""
    drawn = column.draw(row, zone)
    # On a card a fact that is not there takes no line; one that may come by itself keeps its own.
    look = f"{column.look} blank" if drawn == NOTHING and not kind else column.look
    return format_html('<td class="{}"{}{}>{}</td>', look, label, live, drawn)
