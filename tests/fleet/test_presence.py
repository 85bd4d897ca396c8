"""Whether there is anything at all: many kinds, one statement."""

from typing import Any

import pytest

from fleet import reach
from fleet.models import ServerGroup, Site
from fleet.presence import Presence

pytestmark = pytest.mark.django_db

WARDS = Presence(
    wards=lambda: ServerGroup.objects.filter(name="ward").order_by("pk"),
    others=lambda: ServerGroup.objects.exclude(name="ward"),
    sites=lambda: Site.objects.all(),
)


def test_the_kinds_of_which_there_is_a_row_are_named() -> None:
    assert WARDS.seen() == frozenset()
    ServerGroup.objects.create(name="ward")
    assert WARDS.seen() == {"wards"}
    Site.objects.create(name="main")
    ServerGroup.objects.create(name="another")
    assert WARDS.seen() == {"wards", "others", "sites"}


def test_all_kinds_are_asked_for_in_one_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        WARDS.seen()


def test_whoever_asks_first_narrows_it_for_nobody() -> None:
    Site.objects.create(name="main")
    asked = Presence(sites=lambda: Site.objects.all())
    with reach.limited_to(frozenset()):
        assert not Site.objects.exists()
        assert asked.seen() == {"sites"}
