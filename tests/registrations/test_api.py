"""The API of what happens: rows, sums, history, exports, orders."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.utils import timezone
from drf_spectacular.validation import validate_schema
from rest_framework.test import APIClient

from fleet.api import Pages
from fleet.models import Line
from fleet.roles import Role
from registrations import queries
from registrations.api import census, history, jobs, registrations
from registrations.exports import source, transitions
from registrations.models import Job, Registration, State
from tests.support.rows import (
    make_group,
    make_registration,
    make_server_change,
    make_site,
    make_token,
    make_transition,
    make_user,
)

pytestmark = pytest.mark.django_db


def client(role: Role = Role.OPERATOR, name: str = "olga") -> APIClient:
    """A client that speaks with a token, as a program does."""
    made = APIClient()
    token = make_token(make_user(name, role))
    made.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return made


def test_a_registration_row_has_the_fields_others_build_on() -> None:
    group = make_group()
    registration = make_registration(group, State.PRIMARY, extension="0042")
    [row] = client().get("/api/v1/registrations/").json()["results"]
    server = registration.server
    assert server is not None
    assert row["id"] == registration.pk
    assert row["handset"] == registration.line.handset_id
    assert row["line"] == registration.line_id
    assert row["mac"] == registration.line.handset.mac
    assert row["extension"] == "0042"
    assert row["group"] == group.pk
    assert row["site"] == registration.site_id
    assert (row["state"], row["role"]) == ("primary", "primary")
    assert row["server"] == {"id": server.pk, "address": "127.0.0.2", "port": 5060}
    assert row["server_silent_since"] is None
    for name in ("since", "expires_at", "next_attempt_at", "reason", "last_answer", "heard_at"):
        assert name in row


def test_the_schema_describes_exactly_what_the_rows_hold() -> None:
    registration = make_registration(make_group())
    make_transition(registration)
    make_server_change(registration.group.servers.get(priority=1))
    Job.objects.create(scope={"all": True}, asked_by="olga")
    asked = client()
    for path, serializer in (
        ("registrations", registrations.RegistrationRow),
        ("transitions", history.TransitionRow),
        ("server-changes", census.ServerChangeRow),
        ("failbacks", jobs.FailbackJob),
    ):
        [row] = asked.get(f"/api/v1/{path}/").json()["results"]
        assert set(row) == set(serializer().fields), path
        assert set(asked.get(f"/api/v1/{path}/{row['id']}/").json()) >= set(row)


def test_lists_come_in_pages_with_absolute_links() -> None:
    group = make_group()
    for _ in range(5):
        make_registration(group)
    asked = client()
    first = asked.get("/api/v1/registrations/?page_size=2&state=secondary").json()
    assert set(first) == {"count", "next", "previous", "results"}
    assert (first["count"], len(first["results"]), first["previous"]) == (5, 2, None)
    assert first["next"].startswith("http://testserver/api/v1/registrations/?")
    ids = [row["id"] for row in first["results"]]
    page = first
    while page["next"]:
        page = asked.get(page["next"]).json()
        ids += [row["id"] for row in page["results"]]
    assert ids == sorted(Registration.objects.values_list("id", flat=True))


def test_a_page_holds_a_thousand_rows_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Pages.max_page_size == 1000
    monkeypatch.setattr(Pages, "max_page_size", 3)
    group = make_group()
    for _ in range(5):
        make_registration(group)
    assert len(client().get("/api/v1/registrations/?page_size=9999").json()["results"]) == 3


def test_registrations_are_filtered_like_the_pages() -> None:
    ward, lab = make_group("ward"), make_group("lab")
    north = make_site("north")
    home = make_registration(ward, State.PRIMARY, site=north)
    away = make_registration(lab, State.SECONDARY)
    late = make_registration(lab, State.PRIMARY, due_at=timezone.now() - timedelta(minutes=1))
    asked = client()

    def found(query: str) -> list[int]:
        return [r["id"] for r in asked.get(f"/api/v1/registrations/?{query}").json()["results"]]

    assert found("state=primary") == [home.pk]
    assert found("state=primary&state=unknown") == [home.pk, late.pk]
    assert found(f"group={lab.pk}") == [away.pk, late.pk]
    assert found(f"site={north.pk}") == [home.pk]
    assert found(f"server={away.server_id}") == [away.pk]
    assert found(f"q={away.line.extension}") == [away.pk]
    wrong = asked.get("/api/v1/registrations/?state=asleep&group=987654")
    assert wrong.status_code == 400
    assert set(wrong.json()) == {"state", "group"}


def test_registrations_come_in_the_order_that_is_asked_for() -> None:
    group = make_group()
    made = [make_registration(group, name=name) for name in ("Porter", "Admission", "Triage")]
    asked = client()

    def order(query: str) -> list[int]:
        rows = asked.get(f"/api/v1/registrations/{query}").json()["results"]
        return [made.index(next(r for r in made if r.pk == row["id"])) for row in rows]

    assert order("") == [0, 1, 2]
    assert order("?ordering=name") == [1, 0, 2]
    assert order("?ordering=-name&page_size=2") == [2, 0]
    assert order("?ordering=-name&page_size=2&page=2") == [1]
    refused = asked.get("/api/v1/registrations/?ordering=shoe_size")
    assert refused.status_code == 400
    assert "Order by one of id, name," in refused.json()["ordering"][0]


def test_a_row_that_nobody_tends_is_unknown_here_too() -> None:
    late = make_registration(make_group(), due_at=timezone.now() - timedelta(minutes=1))
    assert client().get(f"/api/v1/registrations/{late.pk}/").json()["state"] == "unknown"


def test_no_answer_ever_holds_a_password() -> None:
    registration = make_registration(make_group())
    registration.snapshot = {"nonce": "a very secret nonce"}
    registration.save()
    asked = client()
    asked.post("/api/v1/failbacks/", {"all": True}, format="json")
    for path in ("registrations/", f"registrations/{registration.pk}/", "summary/", "failbacks/"):
        text = asked.get(f"/api/v1/{path}").content.decode()
        assert "secret" not in text, path


def test_the_summary_counts_by_state_group_and_server() -> None:
    group = make_group()
    make_registration(group, State.PRIMARY)
    make_registration(group, State.SECONDARY)
    summary = client().get("/api/v1/summary/").json()
    assert set(summary) == set(registrations.CountsByState().fields)
    assert summary["total"] == 2
    assert (summary["states"]["primary"], summary["states"]["secondary"]) == (1, 1)
    assert [s["held"] for s in summary["groups"][0]["servers"]] == [1, 1]


def test_history_rows_name_both_ends_of_a_change() -> None:
    make_transition(asked_by="olga")
    [row] = client().get("/api/v1/transitions/").json()["results"]
    assert datetime.fromisoformat(row["at"]) == datetime(2026, 11, 23, 2, 13, tzinfo=UTC)
    assert row["from"] == {"state": "primary", "server": "127.0.0.2:5060"}
    assert row["to"] == {"state": "secondary", "server": "127.0.0.3:5060"}
    for name in ("id", "mac", "extension", "group", "cause", "code", "reason", "seconds"):
        assert name in row
    assert row["asked_by"] == "olga"


def test_lists_cost_the_same_queries_for_few_and_for_many(
    django_assert_max_num_queries: Any,
) -> None:
    group = make_group()
    for _ in range(40):
        make_transition(make_registration(group))
    asked = client()
    for _ in range(10):
        asked.post("/api/v1/failbacks/", {"group": group.pk}, format="json")
    # Token and user, role, count, rows; of registrations the ids of the page come first.
    for path, most in (("registrations", 5), ("transitions", 4), ("failbacks", 4)):
        with django_assert_max_num_queries(most):
            asked.get(f"/api/v1/{path}/?page_size=1000")
    # Token and user, role, groups with servers and their pace, health, counts, networks, holds,
    # incidents.
    with django_assert_max_num_queries(12):
        asked.get("/api/v1/summary/")


def test_the_export_streams_what_the_filter_shows() -> None:
    make_transition(mac="00907a000001")
    make_transition(mac="00907a000002", group_name="lab")
    answer = client(Role.VIEWER).get("/api/v1/transitions/export/?format=csv&group=lab")
    assert answer.streaming
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["X-Rollcall-Filter"] == "group=lab"
    assert answer["X-Rollcall-Rows"] == "1"
    for name in ("Since", "Until", "Made-At"):
        assert datetime.fromisoformat(answer[f"X-Rollcall-{name}"]).tzinfo is not None
    assert 'filename="rollcall-transitions-' in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [row["mac"] for row in rows] == ["00907a000002"]


@pytest.mark.parametrize("accept", ["text/html", "text/csv", "application/xml", "*/*"])
def test_the_export_comes_whatever_is_accepted(accept: str) -> None:
    asked = client(Role.VIEWER)
    answer = asked.get("/api/v1/transitions/export/?format=jsonl", HTTP_ACCEPT=accept)
    assert answer.status_code == 200
    assert json.loads(answer.getvalue().splitlines()[0])["meta"]["rows"] == 0
    refused = asked.get("/api/v1/transitions/export/?format=doc", HTTP_ACCEPT=accept)
    assert refused.status_code == 400
    assert set(refused.json()) == {"format"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_under_asgi_the_export_is_read_chunk_by_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "CHUNK", 10)
    read: list[int] = []
    chunks = transitions._chunks

    def counted(*args: Any) -> Any:
        for chunk in chunks(*args):
            read.append(len(chunk))
            yield chunk

    monkeypatch.setattr(transitions, "_chunks", counted)

    def prepare() -> str:
        for _ in range(35):
            make_transition()
        return make_token(make_user("vera", Role.VIEWER))

    key = await sync_to_async(prepare)()
    answer = await AsyncClient().get(
        "/api/v1/transitions/export/", headers={"authorization": f"Token {key}"}
    )
    assert answer.streaming
    assert answer.is_async
    stream: AsyncIterator[bytes] = aiter(answer.streaming_content)
    first = await anext(stream) + await anext(stream)
    assert read == [10]
    rest = b"".join([part async for part in stream])
    assert read == [10, 10, 10, 5]
    assert len((first + rest).splitlines()) == 36


def test_an_order_answers_with_the_job_and_who_is_left_out() -> None:
    group = make_group()
    away = make_registration(group)
    off = make_registration(group, State.DISABLED, supervision=Line.Supervision.OFF)
    asked = client()
    answer = asked.post("/api/v1/failbacks/", {"group": group.pk}, format="json")
    assert answer.status_code == 201
    job = answer.json()
    assert set(job) == set(jobs.FailbackProgress().fields)
    assert (job["state"], job["scope"], job["asked_by"]) == ("running", {"group": group.pk}, "olga")
    assert (job["total"], job["done"], job["failed"]) == (2, 1, 0)
    by_registration = {r["registration"]: r for r in job["results"]}
    assert by_registration[away.pk]["result"] == "pending"
    assert by_registration[off.pk]["result"] == "left_out"
    assert set(by_registration[off.pk]) == set(jobs.HandsetResult().fields)
    assert asked.get(f"/api/v1/failbacks/{job['id']}/").json() == job


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "scope"), ({"group": 987654}, "group"), ([1, 2], "scope"), ({"all": False}, "all")],
)
def test_an_order_without_a_right_scope_is_refused_by_field(body: Any, field: str) -> None:
    answer = client().post("/api/v1/failbacks/", body, format="json")
    assert answer.status_code == 400
    assert set(answer.json()) == {field}


def test_cancelling_answers_with_what_is_left_of_the_job() -> None:
    make_registration(make_group())
    asked = client()
    job = asked.post("/api/v1/failbacks/", {"all": True}, format="json").json()
    answer = asked.post(f"/api/v1/failbacks/{job['id']}/cancel/")
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    assert answer.json()["results"][0]["result"] == "cancelled"
    again = asked.post(f"/api/v1/failbacks/{job['id']}/cancel/")
    assert again.status_code == 409
    assert "was cancelled" in again.json()["detail"]


def test_what_is_not_there_is_404() -> None:
    asked = client()
    for path in ("registrations/987654/", "failbacks/987654/", "transitions/987654/"):
        assert asked.get(f"/api/v1/{path}").status_code == 404
    assert asked.post("/api/v1/failbacks/987654/cancel/").status_code == 404


def test_a_browser_session_orders_only_with_its_csrf_token() -> None:
    make_registration(make_group())
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(make_user("olga", Role.OPERATOR))
    assert browser.get("/api/v1/registrations/").status_code == 200
    answer = browser.post("/api/v1/failbacks/", {"all": True}, format="json")
    assert answer.status_code == 403
    assert not Job.objects.exists()


def test_a_wrong_token_is_401_and_says_how_to_ask() -> None:
    stranger = APIClient()
    stranger.credentials(HTTP_AUTHORIZATION="Token 0123456789")
    answer = stranger.get("/api/v1/registrations/")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"


def test_queries_of_the_summary_are_those_of_the_page() -> None:
    make_registration(make_group(), State.PRIMARY)
    shown = client().get("/api/v1/summary/").json()
    assert shown["headline"] == queries.summary(timezone.now())["headline"]


@pytest.mark.parametrize(
    ("path", "name", "there_is"),
    [
        ("registrations/?stat=secondary", "stat", "state"),
        ("registrations/?at=2026-11-23T00:00:00Z", "at", "state"),
        ("registrations/export/?stat=secondary", "stat", "state"),
        ("transitions/?foo=1&state=secondary", "foo", "cause"),
        ("transitions/export/?foo=1", "foo", "cause"),
        ("reports/export/?sate=1", "sate", "mac"),
        ("census/?span=9q", "span", "since"),
        ("server-changes/?form=x", "form", "what"),
        ("handsets/?mak=x", "mak", "mac"),
        ("failbacks/?state=running", "state", "none"),
        ("exports/?kind=reports", "kind", "none"),
    ],
)
def test_a_misspelt_filter_is_refused_and_lists_nothing(
    path: str, name: str, there_is: str
) -> None:
    answer = client(Role.OPERATOR).get(f"/api/v1/{path}")
    assert answer.status_code == 400
    assert list(answer.json()) == [name]
    [sentence] = answer.json()[name]
    assert sentence.startswith(f"There is no filter {name}; there are ") and there_is in sentence


def test_an_order_says_which_field_of_its_filter_is_wrong() -> None:
    asked = client(Role.OPERATOR)
    for query, said in (
        ("state=asleep", "state: There is no such thing as asleep."),
        ("stat=secondary", "There is no filter stat; there are "),
        ("sort=name", "There is no filter sort; there are "),
    ):
        answer = asked.post("/api/v1/failbacks/", {"filter": query}, format="json")
        assert answer.status_code == 400
        assert said in str(answer.json()["filter"])


@pytest.mark.parametrize(
    "path",
    [
        f"registrations/?group={10**30}",
        f"registrations/?server={10**30}&site=-1",
        "registrations/?state=%00&q=%00",
        f"registrations/?page={10**30}",
        "registrations/?page=0&page_size=-1",
        f"registrations/{10**30}/",
        f"transitions/?registration={10**30}",
        "transitions/?registration=NaN",
        "transitions/?since=0001-01-01T00:00:00%2B14:00",
        "transitions/?mac=%00&q=%00%ff",
        "transitions/export/?since=9999-12-31T23:59:59-14:00",
        f"handsets/?group={10**30}&q=%00",
        f"lines/?handset={10**30}",
        f"servers/?port={10**30}",
        f"failbacks/{10**30}/",
    ],
)
def test_odd_questions_get_an_answer_and_no_server_error(path: str) -> None:
    make_registration(make_group())
    asked = client()
    asked.raise_request_exception = False
    assert asked.get(f"/api/v1/{path}").status_code in {200, 400, 404}


@pytest.mark.parametrize(
    "body", [{"registrations": [10**30]}, {"group": 10**30}, {"site": -1}, {"all": [True]}]
)
def test_odd_orders_are_refused_and_no_server_error(body: Any) -> None:
    asked = client()
    asked.raise_request_exception = False
    assert asked.post("/api/v1/failbacks/", body, format="json").status_code == 400


def test_the_schema_describes_every_path_and_is_valid() -> None:
    answer = client(Role.VIEWER).get("/api/v1/schema/", HTTP_ACCEPT="application/json")
    assert answer.status_code == 200
    schema = json.loads(answer.content)
    validate_schema(schema)
    paths = {path.removeprefix("/api/v1/") for path in schema["paths"]}
    assert {"registrations/{id}/", "transitions/export/", "failbacks/{id}/cancel/"} <= paths
    written = schema["components"]["schemas"]["Line"]["properties"]["auth_password"]
    assert written["writeOnly"] is True
