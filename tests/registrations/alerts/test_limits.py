"""From when on something is an incident: seen, changed, checked, and in force at once."""

from datetime import timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fleet.models import ServerGroup
from fleet.roles import Role
from registrations import queries, store
from registrations.alerts import looking
from registrations.incidents.limits import LIMITS, NUMBERS
from registrations.models import Incident, IncidentLimit, ServerHealth, State, Transition
from registrations.store import Noticed
from tests.support.rows import make_group, make_registration, make_site, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(make_user("olga", Role.CONFIGURER))
    return client


@pytest.fixture
def ward(db: None) -> ServerGroup:
    return make_group()


def send(desk: Client, kind: str, **given: Any) -> Any:
    """Send the form of a kind with these numbers; the others left empty."""
    url = reverse("limit_edit", args=[kind])
    form = desk.get(url).context["form"]
    return desk.post(url, {"seen": form.seen} | given)


def test_every_kind_is_shown_with_what_holds(desk: Client) -> None:
    page = desk.get(reverse("limits")).content.decode()
    for kind in Incident.Kind:
        assert kind.label in page
    assert "6 changes within 30 min, the last within 5 min" in page
    assert "it answers again after 3 good answers within 1 min" in page
    assert "6 handsets and 1 %" in page and "Changed" not in page
    assert queries.incident_limits() == dict(LIMITS)


def test_a_change_is_kept_audited_and_shown_beside_what_is_usual(desk: Client) -> None:
    answer = send(desk, "credentials", at_least="20", after_s="600")
    assert answer.headers["Location"] == reverse("limits")
    limit = queries.incident_limits()["credentials"]
    assert (limit.at_least, limit.percent, limit.after_s, limit.good_s) == (20, 1, 600, 60)
    page = desk.get(reverse("limits")).content.decode()
    assert "20 handsets and 1 %" in page and "usually 6 handsets and 1 %" in page
    (entry,) = LogEntry.objects.get_for_model(IncidentLimit)
    assert entry.actor is not None and entry.actor.get_username() == "olga"
    assert entry.changes == {"at_least": ["None", "20"], "after_s": ["None", "600"]}
    send(desk, "credentials")
    assert queries.incident_limits()["credentials"] == LIMITS["credentials"]


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("credentials", {"at_least": "5"}, "Give a whole number from 6 to 1,000,000, or none."),
        ("server_sick", {"percent": "101"}, "Give a whole number from 0 to 100, or none."),
        ("handset", {"after_s": "-1"}, "Give a whole number from 0 to 86,400, or none."),
        ("handset", {"after_s": "soon"}, "Enter a whole number."),
        ("flapping", {"times": "1"}, "Give a whole number from 2 to 1,000, or none."),
        ("flapping", {"within_s": "120"}, "Give at most 120: so long changes are counted."),
        ("server_silent", {"times": "20", "within_s": "30"}, "Give at least 40: it is asked"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    desk: Client, kind: str, given: dict[str, str], said: str
) -> None:
    answer = send(desk, kind, **given)
    assert answer.status_code == 422 and said in answer.content.decode()
    assert queries.incident_limits() == dict(LIMITS)


def test_what_another_changed_meanwhile_is_told(desk: Client) -> None:
    url = reverse("limit_edit", args=["handset"])
    seen = desk.get(url).context["form"].seen
    send(desk, "handset", after_s="900")
    answer = desk.post(url, {"seen": seen, "percent": "2"})
    assert answer.status_code == 422
    assert "After how many seconds: nothing → 900" in answer.content.decode()
    assert queries.incident_limits()["handset"].after_s == 900


def test_a_kind_that_is_not_there_is_no_page(desk: Client) -> None:
    assert desk.get("/alerts/limits/weather/").status_code == 404


def test_the_api_says_what_is_usual_and_refuses_what_the_form_refuses(desk: Client) -> None:
    listed = desk.get("/api/v1/incident-limits/").json()["results"]
    assert {row["kind"]: set(row["usual"]) for row in listed} == {
        kind: set(numbers) for kind, numbers in NUMBERS.items()
    }
    url = "/api/v1/incident-limits/worker_silent/"

    def patch(**given: Any) -> Any:
        return desk.patch(url, given, content_type="application/json")

    before = desk.get(url).json()
    assert before["usual"] == {"after_s": 15, "good_s": 30} and before["after_s"] is None
    assert patch(after_s=60).json()["after_s"] == 60
    assert patch(at_least=4).json() == {"at_least": ["Incidents of this kind have no such number."]}
    assert patch(after_s=90, version=before["version"]).status_code == 412
    assert queries.incident_limits()["worker_silent"].after_s == 60
    assert patch(after_s=None).json()["after_s"] is None
    assert desk.get("/api/v1/incident-limits/weather/").status_code == 404


def test_the_next_look_goes_by_it(desk: Client, ward: ServerGroup) -> None:
    now = timezone.now()
    make_registration(ward, State.UNREGISTERED, since=now - timedelta(seconds=400))
    send(desk, "handset", after_s="900")
    looking.look(now)
    assert not Incident.objects.exists()
    send(desk, "handset", after_s="60", good_s="10")
    looking.look(now + timedelta(seconds=2))
    assert Incident.objects.get().kind == "handset"


def test_flapping_is_what_the_limit_says(desk: Client, ward: ServerGroup) -> None:
    now = timezone.now()
    row = make_registration(ward, State.PRIMARY)
    for minutes in (50, 40, 30):
        names = {"mac": "0", "extension": "0", "group_name": "ward", "site_name": "main"}
        at, cause = now - timedelta(minutes=minutes), "failover"
        Transition.objects.create(
            registration=row, at=at, cause=cause, to_state="secondary", **names
        )
    looking.look(now)
    assert not Incident.objects.exists()
    send(desk, "flapping", times="3", within_s="3600", calm_s="3600")
    looking.look(now + timedelta(seconds=32))
    incident = Incident.objects.get()
    assert incident.kind == "flapping" and "up to 3 times within 1 h 0 min" in incident.happened


def test_so_few_of_a_large_group_are_told_as_each_alone_would_be(ward: ServerGroup) -> None:
    """Too few for an incident of the batch, too many to be named: they were told to nobody."""
    now = timezone.now()
    for _ in range(8):
        make_registration(ward, State.REJECTED, since=now)
    IncidentLimit.objects.create(kind="credentials", percent=100)
    for _ in range(2):
        make_registration(ward, State.PRIMARY)
    looking.look(now + timedelta(seconds=299))
    assert not Incident.objects.exists()
    looking.look(now + timedelta(seconds=302))
    assert Incident.objects.get().title == "Handsets of ward at main refused"


def test_a_silent_server_answers_again_after_as_many_answers_as_the_limit_says(
    desk: Client, ward: ServerGroup
) -> None:
    row = make_registration(ward, State.PRIMARY)
    now, server, site = timezone.now(), ward.servers.get(priority=1), make_site()
    facts = {"condition": "silent", "since": now, "due_at": now, "failures": 2}
    health = ServerHealth.objects.create(server=server, site=site, **facts)
    send(desk, "server_silent", times="2")

    def answer(seconds: float) -> str:
        at = now.timestamp() + seconds
        said = {"code": 200, "verdict": "bound", "registration_id": row.pk}
        store.hear([Noticed(server.pk, site.pk, True, at, "200 OK", **said)])
        health.refresh_from_db()
        return health.condition

    assert [answer(1), answer(3)] == ["silent", "up"]
