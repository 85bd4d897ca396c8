"""Readiness: what is said of who would be taken, on the page, by the API, in exports, in orders."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from fleet.models import ServerGroup
from fleet.roles import Role
from registrations import census, queries, services, store
from registrations.jobs import Terms
from registrations.models import ReadinessHour, Registration, ServerHealth, StandbyProof, State
from registrations.shown import previews, readiness
from registrations.templatetags.rollcall import trend
from tests.support import rows

pytestmark = pytest.mark.django_db

PROVED, REFUSED = StandbyProof.Proof.PROVED, StandbyProof.Proof.REFUSED


def ward(n: int, name: str = "ward", **more: Any) -> tuple[ServerGroup, list[Registration]]:
    """Lines on their primary, all proved at both servers a minute ago."""
    group = rows.make_group(name, **more)
    lines = [rows.make_registration(group, State.PRIMARY) for _ in range(n)]
    for line in lines:
        for server in group.servers.all():
            rows.make_proof(line, server.priority, PROVED)
    return group, lines


def sentence() -> str:
    return readiness.headline(readiness.readiness(timezone.now()))


def test_a_fleet_that_would_all_be_taken_is_told_so_in_one_sentence() -> None:
    ward(3)
    assert sentence() == "If 127.0.0.2:5060 died now, all 3 would be taken by 127.0.0.3:5060."


def test_who_would_not_be_taken_is_counted_apart_from_whom_nobody_can_tell_of() -> None:
    _, lines = ward(5)
    rows.make_proof(lines[0], 2, REFUSED)
    rows.make_proof(lines[1], 2, "unknown_aor")
    rows.make_proof(lines[2], 2, "open")
    assert sentence() == (
        "If 127.0.0.2:5060 died now, 2 of 5 would be taken by 127.0.0.3:5060; 2 would not; "
        "of 1 nobody can tell."
    )


def test_an_answer_is_not_believed_for_ever() -> None:
    _, lines = ward(2)
    late = timezone.now() - timedelta(seconds=2 * settings.PROVE_EVERY + 1)
    rows.make_proof(lines[0], 2, PROVED, due_at=late)
    assert "1 of 2 would be taken" in sentence()
    assert shown(lines[0]) == "stale"
    rows.make_proof(
        lines[0], 2, REFUSED, asked_at=late, due_at=timezone.now() + timedelta(hours=20)
    )
    assert shown(lines[0]) == "refused", "asked ever more rarely, and meant to be"


def shown(line: Registration) -> str:
    return queries.proofs(timezone.now()).get(registration=line, server__priority=2).shown_proof


def test_a_server_that_is_silent_takes_nobody_whatever_it_proved_before() -> None:
    group, lines = ward(2, servers=3)
    second = group.servers.get(priority=2)
    health = {"site": lines[0].site, "since": timezone.now(), "due_at": timezone.now()}
    ServerHealth.objects.create(server=second, condition="silent", **health)
    assert shown(lines[0]) == "silent"
    assert sentence() == "If 127.0.0.2:5060 died now, all 2 would be taken by 127.0.0.4:5060."
    ServerHealth.objects.create(server=group.servers.get(priority=3), condition="silent", **health)
    assert sentence().endswith(
        "nobody would take its handsets: 127.0.0.3:5060 and 127.0.0.4:5060 are silent."
    )


def test_a_primary_that_is_silent_already_is_not_said_to_die() -> None:
    group, lines = ward(2)
    health = {"site": lines[0].site, "since": timezone.now(), "due_at": timezone.now()}
    first = group.servers.get(priority=1)
    ServerHealth.objects.create(server=first, condition="silent", **health)
    assert sentence() == (
        "With 127.0.0.2:5060 silent, as it is now, all 2 would be taken by 127.0.0.3:5060."
    )
    [row] = [
        queries.proof_row(proof)
        for proof in queries.in_full(queries.proofs(timezone.now()))
        if proof.registration == lines[0] and proof.server == first
    ]
    told = "The server answers nobody at this site. Before that: It said proved."
    assert (row["proof"], row["reason"]) == ("silent", told)


def test_a_group_with_one_server_has_nobody_to_take_its_handsets() -> None:
    ward(1, "lone", servers=1)
    assert sentence().endswith("nobody would take its handsets: lone has no other server for them.")
    ward(2)
    assert sentence() == (
        "If every primary died now, 2 of 3 would be taken by the next server of their group; "
        "1 would not."
    )


def test_nothing_is_claimed_of_a_fleet_that_nobody_asks_for(settings: Any) -> None:
    ward(2)
    settings.PROVE_EVERY = 0
    assert sentence() == "Nobody is asked: PROVE_EVERY is 0."


def test_a_server_that_is_spared_says_why() -> None:
    group, lines = ward(4)
    for line in lines[:3]:
        rows.make_proof(line, 2, REFUSED, refused_at=timezone.now())
    [found] = readiness.readiness(timezone.now())
    assert found.standings[0].left_alone == ""
    assert found.standings[1].left_alone.startswith("It refused 3 within 10 min.")


def test_the_page_leads_to_those_who_would_not_be_taken(client: Client) -> None:
    group, lines = ward(3)
    rows.make_proof(lines[0], 2, REFUSED)
    client.force_login(rows.make_user(role=Role.VIEWER))
    page = client.get("/readiness/").content.decode()
    assert "2 of 3 would be taken by 127.0.0.3:5060; 1 would not." in page
    second = group.servers.get(priority=2)
    wanted = f"/readiness/handsets/?server={second.pk}&amp;takes=false"
    assert wanted in page
    found = client.get(wanted.replace("&amp;", "&")).content.decode()
    assert "It said refused." in found
    assert lines[0].line.extension in found
    assert lines[1].line.extension not in found


def test_a_handsets_page_says_what_each_server_would_do(client: Client) -> None:
    _, [line] = ward(1)
    rows.make_proof(line, 2, REFUSED)
    client.force_login(rows.make_user(role=Role.VIEWER))
    page = client.get(f"/handsets/{line.line.handset_id}/").content.decode()
    assert 'data-proof="proved"' in page
    assert 'data-proof="refused"' in page
    assert "It said refused." in page


@pytest.fixture
def api(client: Client) -> Client:
    key = rows.make_token(rows.make_user(role=Role.VIEWER))
    client.defaults["HTTP_AUTHORIZATION"] = f"Token {key}"
    return client


def test_the_api_has_rows_and_sums(api: Client) -> None:
    group, lines = ward(3)
    rows.make_proof(lines[0], 2, REFUSED, code=403)
    found = api.get("/api/v1/readiness/?takes=false").json()
    assert [(r["registration"], r["proof"], r["code"]) for r in found["results"]] == [
        (lines[0].pk, "refused", 403)
    ]
    whole = api.get("/api/v1/readiness/summary/").json()
    assert whole["headline"] == whole["groups"][0]["sentence"]
    first, second = whole["groups"][0]["servers"]
    assert whole["groups"][0]["lands_on"] == second["server"]
    assert second["proofs"] == {"proved": 2, "refused": 1}
    assert (first["taken"], second["not_taken"], second["untold"]) == (3, 1, 0)
    assert api.get("/api/v1/readiness/?prof=proved").status_code == 400


def test_the_export_has_what_the_filter_shows(api: Client) -> None:
    _, lines = ward(2)
    rows.make_proof(lines[1], 2, "unknown_aor", reason="Not here.")
    answer = api.get("/api/v1/readiness/export/?format=csv&proof=unknown_aor")
    table = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(table) == 2
    assert "Not here." in table[1]


def test_who_has_no_role_sees_nothing(client: Client) -> None:
    client.force_login(rows.make_user())
    for page in ("/readiness/", "/readiness/handsets/", "/api/v1/readiness/"):
        assert client.get(page).status_code == 403


def test_bringing_them_home_warns_of_a_primary_that_is_not_proved_and_leaves_nobody_out() -> None:
    group, lines = ward(3)
    Registration.objects.update(
        state=State.SECONDARY, server=group.servers.get(priority=2), since=timezone.now()
    )
    rows.make_proof(lines[0], 1, REFUSED)
    rows.make_proof(lines[1], 1, "unasked")
    seen = previews.preview({"group": group.pk}, Terms(), timezone.now())
    assert seen.asked == 3
    assert seen.warnings[-2:] == [
        "127.0.0.2:5060 is not proved to take 1 of them: it refuses the user name or password.",
        "127.0.0.2:5060 is not proved to take 1 of them: it was not asked yet.",
    ]


def test_what_would_be_taken_is_counted_once_an_hour_and_drawn_with_its_gaps() -> None:
    _, lines = ward(4)
    now = timezone.now()
    start = now.replace(minute=0, second=0, microsecond=0)
    assert census.take_readiness(start + timedelta(minutes=20))
    assert not census.take_readiness(start + timedelta(minutes=40))
    rows.make_proof(lines[0], 2, REFUSED)
    StandbyProof.objects.update(due_at=start + timedelta(hours=4))
    assert census.take_readiness(start + timedelta(hours=3))
    [found] = readiness.readiness(start + timedelta(hours=3, minutes=1))
    second = found.standings[1]
    assert [(h.taken, h.not_taken) for h in second.hours] == [(4, 0), (3, 1)]
    assert sorted({at for _, at, _, _ in second.trend}) == [164, 167], "two hours nobody counted"
    assert second.trend_told == "In the last week it would have taken 3 at least, 3 now."
    assert '<rect data-state="' in trend(second.trend)
    census.thin(start + timedelta(days=91))
    assert not ReadinessHour.objects.exists()


def test_the_api_has_what_was_counted_of_a_group_or_a_server(api: Client) -> None:
    group, lines = ward(4)
    other, _ = ward(2, "clinic")
    start = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    census.take_readiness(start)
    rows.make_proof(lines[0], 2, REFUSED)
    census.take_readiness(start + timedelta(hours=1, minutes=5))
    found = api.get(f"/api/v1/readiness/trend/?group={group.pk}").json()
    assert [(each["group_name"], each["taken"], each["not_taken"]) for each in found] == [
        ("ward", [4, 4], [0, 0]),
        ("ward", [4, 3], [0, 1]),
    ]
    assert found[1]["at"][0] == queries.moment(start)
    one = other.servers.get(priority=2)
    [of_one] = api.get(f"/api/v1/readiness/trend/?server={one.pk}").json()
    assert (of_one["server"], of_one["taken"], of_one["untold"]) == (one.pk, [2, 2], [0, 0])
    later = queries.moment(start + timedelta(hours=2))
    assert api.get("/api/v1/readiness/trend/", {"since": later}).json()[0]["at"] == []
    assert api.get("/api/v1/readiness/trend/?grp=1").status_code == 400


def test_a_lower_round_counts_at_once_and_whoever_was_refused_keeps_the_pause(
    settings: Any,
) -> None:
    _, lines = ward(3)
    far = timezone.now() + timedelta(seconds=1800)
    StandbyProof.objects.update(due_at=far)
    rows.make_proof(lines[0], 2, REFUSED, refusals=1, due_at=far)
    rows.make_proof(lines[1], 2, "silent", due_at=far)
    settings.PROVE_EVERY = 60
    now = timezone.now()
    assert store.hasten_proofs(now.timestamp()) == 5
    due = {(p.registration_id, p.server.priority): p.due_at for p in StandbyProof.objects.all()}
    assert due.pop((lines[0].pk, 2)) == far
    assert due.pop((lines[1].pk, 2)) <= now + timedelta(seconds=300), "as after any silence"
    assert all(now <= at <= now + timedelta(seconds=60) for at in due.values())
    assert store.hasten_proofs(now.timestamp()) == 0
    settings.PROVE_EVERY = 0
    StandbyProof.objects.update(due_at=far)
    assert store.hasten_proofs(now.timestamp()) == 0, "nobody is asked"


def test_readiness_takes_as_many_queries_for_many_groups_as_for_one(
    django_assert_max_num_queries: Any,
) -> None:
    for n in range(6):
        ward(2, f"ward {n}")
    with django_assert_max_num_queries(8):
        readiness.readiness(timezone.now())


def test_lines_of_an_edited_fleet_are_asked_for_soon() -> None:
    group = rows.make_group()
    line = rows.make_line(group)
    services.sync_registrations([line.pk])
    made = StandbyProof.objects.filter(registration__line=line)
    assert {proof.proof for proof in made} == {"unasked"}
    assert made.count() == 2
    soon = timezone.now() + timedelta(seconds=2)
    assert all(proof.due_at < soon for proof in made)
    StandbyProof.objects.update(proof=REFUSED, refusals=5, due_at=soon + timedelta(hours=20))
    services.sync_registrations([line.pk])
    assert all(p.due_at < soon and not p.refusals for p in made.all())
