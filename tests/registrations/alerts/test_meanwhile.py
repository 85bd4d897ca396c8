"""Two people edit one rule, channel or maintenance at once: neither undoes the other unawares."""

from collections.abc import Callable
from datetime import time
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from fleet.roles import Role
from registrations.models import AlertRule, Channel, MaintenanceWindow
from tests.support.rows import make_group, make_user

pytestmark = pytest.mark.django_db


def make_rule() -> Model:
    return AlertRule.objects.create(name="Nights", days="12345")


def make_channel() -> Model:
    to = {"to": ["night@hospital.example"]}
    return Channel.objects.create(name="Nights", kind="email", settings=to)


def make_maintenance() -> Model:
    return MaintenanceWindow.objects.create(
        name="Nights", days="17", begins=time(22), ends=time(4), time_zone="America/Denver"
    )


KINDS: list[tuple[str, Callable[[], Model], dict[str, Any], dict[str, Any], str]] = [
    ("rule_edit", make_rule, {"repeat_s": "60"}, {"days": ["6", "7"]}, "Again after minutes"),
    ("channel_edit", make_channel, {"to": "day@hospital.example"}, {"name": "Days"}, "To"),
    ("maintenance_edit", make_maintenance, {"days": ["2"]}, {"ends": "05:00"}, "Days"),
]


def sent_by(client: Client, url: str) -> dict[str, Any]:
    """What the form at `url` would send if nobody typed anything."""
    form = client.get(url).context["form"]
    given = {form.seen_name: form.seen}
    for name in form.fields:
        value = form[name].initial
        field = form.fields[name]
        shown = field.prepare_value(value)
        if shown not in (None, False, ""):
            given[name] = "on" if shown is True else shown
    return given


@pytest.mark.parametrize(("page", "make", "theirs", "ours", "label"), KINDS)
def test_what_another_changed_meanwhile_is_told_and_not_undone(
    client: Client,
    page: str,
    make: Callable[[], Model],
    theirs: dict[str, Any],
    ours: dict[str, Any],
    label: str,
) -> None:
    group = make_group()
    client.force_login(make_user("olga", Role.CONFIGURER))
    thing = make()
    if isinstance(thing, MaintenanceWindow):
        thing.groups.add(group)
    url = reverse(page, args=[thing.pk])
    opened = sent_by(client, url)
    unseen = {name: value for name, value in opened.items() if name != "seen"}
    assert client.post(url, unseen | theirs).status_code == 302
    kept = dict(type(thing).objects.values().get())  # type: ignore[attr-defined]
    refused = client.post(url, opened | ours)
    told = refused.content.decode()
    assert refused.status_code == 422
    assert "Somebody changed this while you had it open." in told and f"<li>{label}: " in told
    assert type(thing).objects.values().get() == kept  # type: ignore[attr-defined]
    meant = opened | ours | {"seen": refused.context["form"].seen}
    assert client.post(url, meant).status_code == 302, "sent once more, it is meant"


@pytest.mark.parametrize(("page", "make", "theirs", "ours", "label"), KINDS)
def test_nobody_in_between_is_in_nobodys_way(
    client: Client,
    page: str,
    make: Callable[[], Model],
    theirs: dict[str, Any],
    ours: dict[str, Any],
    label: str,
) -> None:
    client.force_login(make_user("olga", Role.CONFIGURER))
    thing = make()
    if isinstance(thing, MaintenanceWindow):
        thing.groups.add(make_group())
    url = reverse(page, args=[thing.pk])
    assert client.post(url, sent_by(client, url) | ours).status_code == 302
