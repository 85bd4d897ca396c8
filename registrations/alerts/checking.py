"""What is wrong with a rule, a channel or a maintenance as somebody wrote it, by field."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from registrations.alerts import channel_checks

Faults = dict[str, str]


def faults_of_rule(given: Mapping[str, Any]) -> Faults:
    wrong = _zone(given)
    days = given.get("days")
    if days is None:
        days = "1234567"
    if not days or not _are_days(days):
        wrong["days"] = "Choose at least one day, each as 1 (Monday) to 7 (Sunday), once."
    if (given.get("begins") is None) != (given.get("ends") is None):
        wrong["ends"] = "Give both times, or none for the whole day."
    if (given.get("percent") or 0) > 100:
        wrong["percent"] = "Give a number from 0 to 100."
    return wrong


def faults_of_channel(given: Mapping[str, Any]) -> Faults:
    """What is wrong in the settings is told of `settings`, as the API has them."""
    secret = str(given.get("secret") or "")
    wrong = channel_checks.faults(given["kind"], given.get("settings") or {}, secret)
    inside = [said for name, said in wrong.items() if name != "secret"]
    found = {"secret": wrong["secret"]} if "secret" in wrong else {}
    return found | ({"settings": " ".join(inside)} if inside else {})


def faults_of_maintenance(given: Mapping[str, Any]) -> Faults:
    """It is somewhere, and either once or weekly."""
    wrong = _zone(given)
    if not any(given.get(name) for name in ("servers", "groups", "sites")):
        wrong["servers"] = "Name a server, a group or a site: nothing else is muted."
    starts, stops, days = (given.get(name) for name in ("starts_at", "stops_at", "days"))
    if starts is not None or stops is not None:
        if starts is None or stops is None or starts >= stops or days:
            wrong["stops_at"] = "Say when it begins and an end that is later, or days of the week."
    elif not days or not _are_days(days) or given.get("begins") is None or not _has_end(given):
        wrong["days"] = "Name the days (1 is Monday), when it begins and when it ends."
    return wrong


def _has_end(given: Mapping[str, Any]) -> bool:
    return given.get("ends") is not None


def _are_days(days: str) -> bool:
    return set(days) <= set("1234567") and len(set(days)) == len(days)


def _zone(given: Mapping[str, Any]) -> Faults:
    zone = given.get("time_zone") or "UTC"
    known = zone in available_timezones()
    return {} if known else {"time_zone": f"There is no time zone {zone!r}."}
