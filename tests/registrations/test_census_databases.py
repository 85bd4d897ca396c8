"""The census on both databases, and two beats at the same moment."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from registrations import census, queries
from registrations.models import Census
from tests.registrations import live_fleet
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures

pytestmark = pytest.mark.usefixtures("database")


def test_a_census_is_written_read_and_thinned_on_each_database() -> None:
    fleet = live_fleet.make(3)
    now = timezone.now()
    for minutes in range(30):
        assert census.take(now - timedelta(minutes=minutes))
    since = now - timedelta(hours=1)
    series = queries.census(since, now, server=fleet.primary)
    assert (len(series.at), series.counts) == (30, {"primary": [3] * 30})
    census.thin(now + census.FULL_FOR)
    assert 3 <= Census.objects.filter(group=None).count() <= 5
    assert Census.objects.filter(group=None).count() == Census.objects.exclude(group=None).count()


def test_two_beats_at_the_same_moment_count_once() -> None:
    live_fleet.make(2)
    now = timezone.now()
    both = threading.Barrier(2)
    counted: list[bool] = []

    def beat() -> None:
        both.wait(10)
        counted.append(census.take(now))
        connection.close()

    threads = [threading.Thread(target=beat) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(counted) == [False, True]
    assert Census.objects.count() == 2
