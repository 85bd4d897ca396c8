"""How single facts look: icons, states, times. A fact here looks the same on every page.

Times are written by the server in full (so a page reads right without scripts) and kept current in
the browser by static/rollcall/times.js, which reads the same attributes.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from fleet import zones
from registrations import queries
from registrations.models import State

register = template.Library()

STATE_ICONS = {
    "primary": "circle-check",
    "secondary": "switch-horizontal",
    "fallback": "lifebuoy",
    "registering": "loader-2",
    "unregistered": "phone-off",
    "rejected": "shield-x",
    "held": "hand-stop",
    "unknown": "help-circle",
    "disabled": "circle-off",
    "silent": "ear-off",
    "up": "activity-heartbeat",
    "sick": "shield-x",
    "well": "circle-check",
    "paused": "hand-stop",
    "pending": "clock",
    "moved": "home-check",
    "moved_away": "switch-horizontal",
    "already_there": "circle-check",
    "refused": "shield-x",
    "failed": "circle-x",
    "left_out": "circle-off",
    "cancelled": "ban",
    "help": "help-circle",
}
"""By state, server condition or failback result: every colour comes with a shape."""


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """One drawing of the sprite, hidden from screen readers: a word always stands beside it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        extra,
        static("vendor/icons/sprite.svg"),
        name,
    )


@register.simple_tag
def state_icon(state: str) -> SafeString:
    """The icon of a state, a server's condition or a failback result."""
    return icon(STATE_ICONS.get(state, "help-circle"), "state-icon")


@register.simple_tag
def chip(state: str, word: str = "", silent: bool = False) -> SafeString:
    """A state as colour, icon and word. `silent`: its server does not answer."""
    kind = f"{state}_silent" if silent else state
    return format_html(
        '<span class="chip" data-state="{}">{}<span>{}</span></span>',
        kind,
        icon(STATE_ICONS["silent" if silent else state], "state-icon"),
        word or short_word(state, silent),
    )


def short_word(state: str, silent: bool = False) -> str:
    """The words of a state without its times: `On primary, server silent`."""
    word = str(State(state).label) if state in State.values else state.replace("_", " ")
    return f"{word}, server silent" if silent else word


@register.filter
def state_label(state: str) -> str:
    return short_word(state.removesuffix("_silent"), state.endswith("_silent"))


@register.filter
def clause(sentence: str) -> str:
    """A sentence without its full stop, for one that goes on: `Renews at PBX A` in 0:42."""
    return sentence.removesuffix(".")


@register.filter
def dotted(name: str) -> SafeString:
    """A parameter's long name, which a narrow screen breaks after its dots."""
    return format_html_join(SafeString(".<wbr>"), "{}", ((part,) for part in name.split(".")))


@register.filter
def mac(value: str) -> str:
    """`00907a000001` as `00:90:7a:00:00:01`."""
    return ":".join(value[i : i + 2] for i in range(0, len(value), 2))


@register.filter
def number(value: int) -> str:
    """A count as people read it: `4,981`."""
    return f"{value:,}"


@register.filter
def get(mapping: dict[Any, Any], key: Any) -> Any:
    return mapping.get(key, "")


def parsed(value: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) and value else value or None


def zone_of(name: str) -> ZoneInfo:
    """A site's zone; UTC where the name is unknown to this machine."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _time(kind: str, at: datetime, zone: str, words: str, **more: str) -> SafeString:
    """`more` are further data attributes, for the browser's clock."""
    iso = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return format_html(
        '<time data-time="{}" data-zone="{}"{} datetime="{}" title="{}">{}</time>',
        kind,
        zone,
        format_html_join("", ' data-{}="{}"', more.items()),
        iso,
        at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        words,
    )


def span(seconds: float) -> str:
    """A duration in two units at most: `42 s`, `3 min`, `2 h 05 min`, `3 d 4 h`."""
    whole = int(abs(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


@register.filter
def took(seconds: float | None) -> str:
    """How long something lasted: `40 ms`, `0.4 s`, `12 s`, `3 min`."""
    if seconds is None:
        return ""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)


@register.filter
def about(seconds: float) -> str:
    """An estimated length of time, no more exact than it is known: `41 s`, `17 min`."""
    return span(max(1, round(seconds)))


@register.simple_tag
def age(value: datetime | str | None, zone: str = "UTC", never: str = "never") -> SafeString | str:
    """How long ago: `3 min ago`, counting on in the browser."""
    at = parsed(value)
    if at is None:
        return never
    return _time("age", at, zone, f"{span((datetime.now(UTC) - at).total_seconds())} ago")


@register.simple_tag
def lasting(value: datetime | str | None, zone: str = "UTC") -> SafeString | str:
    """For how long already: `3 min`."""
    at = parsed(value)
    if at is None:
        return "–"
    return _time("lasting", at, zone, span((datetime.now(UTC) - at).total_seconds()))


@register.simple_tag
def countdown(value: datetime | str | None, zone: str = "UTC") -> SafeString | str:
    """How long still: `in 0:42`, `now`, counting down in the browser."""
    at = parsed(value)
    if at is None:
        return "–"
    left = (at - datetime.now(UTC)).total_seconds()
    return _time("countdown", at, zone, in_words(left) if left >= 1 else "now")


def in_words(seconds: float) -> str:
    """How long still: `in 0:42`, `in 2 h 05 min`."""
    left = int(seconds)
    return f"in {left // 60}:{left % 60:02d}" if left < 3600 else f"in {span(left)}"


GRACE_S = 10
"""How long past its time a step may be late before nobody knows whether it was taken."""


@register.simple_tag
def deadline(
    value: datetime | str | None,
    zone: str = "UTC",
    due: str = "due now",
    over: str = "overdue",
    trying: str = "",
) -> SafeString | str:
    """How long still, and what it means once the time is past; counting down in the browser.

    `in 0:42`, then `due now`, then `overdue: unknown since 14:02:11`; with `trying` instead
    `being tried since 14:02:11` for as long as the page is live and so would know better.
    """
    at = parsed(value)
    if at is None:
        return "–"
    passed = (datetime.now(UTC) - at).total_seconds()
    late = f"{trying or f'{over}: unknown since'} {_local(at, zone)}"
    words = in_words(-passed) if passed < 0 else due if passed < GRACE_S else late
    return _time("deadline", at, zone, words, due=due, over=over, trying=trying)


@register.filter
def milliseconds(at: datetime, zone: str = "UTC") -> str:
    """When, to the millisecond: `14:02:11.123`, in the zone `clock` shows."""
    local = at.astimezone(zone_of(zones.chosen() or zone))
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"


@register.filter
def are_mixed(zones: dict[str, str]) -> bool:
    """Whether times of several zones stand side by side, and so must carry their zone's name."""
    return len(set(zones.values())) > 1


@register.simple_tag
def clock(value: datetime | str | None, zone: str = "UTC", named: bool = False) -> SafeString | str:
    """When: `14:02:11`, with the day where that is not today, or `… MST`.

    In the site's zone, or in the one the viewer chose, which is named where it is another.
    """
    at = parsed(value)
    if at is None:
        return "–"
    return _time("named-clock" if named else "clock", at, zone, _local(at, zone, named))


def _local(at: datetime, zone: str, named: bool = False) -> str:
    shown = zone_of(zones.chosen() or zone)
    local, today = at.astimezone(shown), datetime.now(shown).date()
    words = f"{queries.day_before(local, today)}{local:%H:%M:%S}"
    if named or local.utcoffset() != at.astimezone(zone_of(zone)).utcoffset():
        words += f" {queries.zone_name(local)}"
    return words


BAR_ORDER = (
    "primary",
    "primary_silent",
    "secondary",
    "secondary_silent",
    "fallback",
    "fallback_silent",
    "registering",
    "held",
    "unregistered",
    "rejected",
    "unknown",
    "disabled",
)
"""From well to not at all: the order of tiles and of a bar's pieces, everywhere."""

HELD_STATES = BAR_ORDER[:6]
BOUND = HELD_STATES[::2]
ALWAYS_TILED = ("primary", "secondary", "fallback", "registering", "unregistered", "rejected")


def _drawn(counts: Iterable[tuple[str, int]], total: int, extra: str) -> SafeString:
    pieces, at = [], 0.0
    for state, count in counts:
        width = 100 * count / total if total else 0
        pieces.append((state, f"{at:.3f}", f"{width:.3f}"))
        at += width
    return format_html(
        '<svg class="bar {}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        "{}</svg>",
        extra,
        format_html_join(
            "", '<rect data-state="{}" x="{}" width="{}" y="0" height="8"></rect>', pieces
        ),
    )


@register.simple_tag
def bar(states: dict[str, int], total: int, extra: str = "") -> SafeString:
    """Counts as one bar out of `total`. Its pieces carry numbers as attributes: no inline style."""
    return _drawn(((state, states.get(state, 0)) for state in BAR_ORDER), total, extra)


@register.simple_tag
def job_bar(kinds: list[tuple[str, str, int]], total: int) -> SafeString:
    """A job's results as one bar; who waits is the bar's empty part."""
    return _drawn(((kind, n) for kind, _, n in kinds if kind != "pending"), total, "tall")


@register.simple_tag
def trend(pieces: list[tuple[str, int, float, float]]) -> SafeString:
    """Upright pieces (state, place, top, height) in a square of 168: the hours of a week."""
    return format_html(
        '<svg class="bar trend" viewBox="0 0 168 168" preserveAspectRatio="none" '
        'aria-hidden="true">{}</svg>',
        format_html_join(
            "",
            '<rect data-state="{}" x="{}" y="{}" width="1" height="{}"></rect>',
            (
                (state, place, round(top, 1), round(height, 1))
                for state, place, top, height in pieces
            ),
        ),
    )


@register.filter
def held_only(states: dict[str, int]) -> dict[str, int]:
    """The counts of those a server holds."""
    return {state: states[state] for state in HELD_STATES}


@register.filter
def tiles(states: dict[str, int]) -> list[dict[str, Any]]:
    """One tile per state: words, count, filter, and whether it hides while nobody is in it."""
    made = []
    for state in BAR_ORDER:
        plain, silent = state.removesuffix("_silent"), state.endswith("_silent")
        made.append(
            {
                "state": state,
                "word": short_word(plain, silent),
                "count": states[state],
                "query": state_query(state),
                "hidden": not states[state] and state not in ALWAYS_TILED,
            }
        )
    return made


@register.filter
def anybody(states: dict[str, int]) -> list[tuple[str, int]]:
    """The states that have anyone in them, from well to not at all."""
    return [(state, states[state]) for state in BAR_ORDER if states[state]]


@register.filter
def state_query(state: str) -> str:
    """The handset list's filter for a state of a bar, a silent server's apart from others."""
    plain, is_silent = state.removesuffix("_silent"), state.endswith("_silent")
    return f"state={plain}" + (f"&silent={str(is_silent).lower()}" if plain in BOUND else "")


@register.filter
def homeless(states: dict[str, int]) -> list[tuple[str, int]]:
    """The states without a server that have anyone in them."""
    return [(s, states[s]) for s in BAR_ORDER[6:] if states[s]]
