"""What a worker does because somebody asked can be followed in its log; a renewal says nothing."""

import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from registrations.models import Registration
from tests.registrations.runtime.test_engine import place, runtime
from tests.registrations.runtime.test_kamailio import force_renewal
from tests.support.claims import at, make_due, make_group, make_lines
from tests.support.peer import peer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def at_rest() -> bool:
    return not Registration.objects.exclude(lease_token=None).exists()


def told(said: list[Any], event: str) -> list[Any]:
    return [each for each in said if each["event"] == event]


def test_a_wish_is_followed_to_its_register_and_no_further() -> None:
    with peer("127.0.0.72") as server, runtime() as worker:
        group = make_group(addresses=(place(server),), max_registrations_per_second=0)
        [row] = make_due(make_lines(1, group))
        with capture_logs() as said:
            worker.kick(row.site_id)
            wait_until(lambda: Registration.objects.filter(state="primary"), 30, "bound")
        assert not [each for each in said if "request" in each], "nobody asked for that"

        wait_until(at_rest, 30, "saved")
        wish = {"wish": "resume", "wish_version": 1, "wish_request": "0123456789"}
        with capture_logs() as said:
            Registration.objects.update(**wish, due_at=at(time.time() - 1))
            force_renewal()
            worker.kick(row.site_id)
            wait_until(lambda: told(said, "carried out"), 30, "the wish is carried out")
        (claimed,) = told(said, "claimed")
        (register,) = told(said, "REGISTER")
        (done,) = told(said, "carried out")
        assert {each["request"] for each in (claimed, register, done)} == {"0123456789"}
        assert (claimed["n"], claimed["registrations"]) == (1, str(row.pk))
        assert (register["registration"], register["answer"]) == (row.pk, "200 OK")
        assert register["server"] == place(server) and register["aor"] == "sip:4000@fleet.test"
        row.refresh_from_db()
        assert row.wish_request == "" and row.wish == ""
        call_id = next(iter(row.snapshot["courses"].values()))["client"]["call_id"]
        assert done["call_id"] == call_id

        wait_until(at_rest, 30, "saved")
        renewals = row.renewals
        with capture_logs() as said:
            force_renewal()
            worker.kick(row.site_id)
            wait_until(lambda: Registration.objects.get().renewals > renewals, 30, "renewed")
        assert not told(said, "claimed") and not told(said, "REGISTER")
