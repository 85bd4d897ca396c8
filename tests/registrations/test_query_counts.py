"""How many queries each page costs: the same for few handsets and many, and no more than agreed.

The agreed counts stand in query_counts.json beside this file. A change of them is a decision: it
belongs in the same commit as what needs it.
"""

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.support import pages

pytestmark = pytest.mark.django_db

AGREED = Path(__file__).with_name("query_counts.json")


def counts(handsets: int) -> dict[str, int]:
    ids = pages.make_fleet(handsets)
    client = Client()
    client.force_login(User.objects.create_superuser(f"admin of {handsets}"))
    found = {}
    for name in pages.PAGES:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(pages.address(name, ids)).status_code == 200, name
        found[name] = len(queries)
    return found


def test_each_page_costs_what_was_agreed_however_many_handsets_there_are() -> None:
    many = counts(45)
    assert many == json.loads(AGREED.read_text()), json.dumps(many, indent=1)


def test_few_handsets_cost_the_same() -> None:
    assert counts(3) == json.loads(AGREED.read_text())
