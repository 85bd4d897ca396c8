"""Why is it there: what an agent kept becomes names and sentences, on the page and in the API."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from fleet.models import Server, ServerGroup
from fleet.roles import Role
from registrations import queries
from registrations.api import why as api_why
from registrations.explaining import BindingExplained, LeftAlone, WaitsFor
from registrations.models import Registration, SiteNetwork, State
from registrations.shown import why as explained
from tests.support.rows import make_group, make_registration, make_site, make_user

pytestmark = pytest.mark.django_db


def standing(row: Registration, cause: str) -> dict[str, Any]:
    return {
        "state": row.state,
        "server_id": row.server_id,
        "since": row.since.timestamp(),
        "cause": cause,
        "reason": row.reason,
    }


def snapshot(row: Registration, cause: str, **binding: Any) -> dict[str, Any]:
    """What the agent of a failover group of literal servers keeps."""
    now = timezone.now().timestamp()
    servers = list(row.group.servers.all())
    fields = {
        "phase": "bound",
        "current": 1,
        "trying": None,
        "tried": [],
        "connected_at": now,
        "granted": 3600.0,
        "expires_at": now + 3600,
        "renew_at": now + 3500,
        "failback_at": None,
        "retry_at": 0.0,
        "failures": 0,
        "refusals": 0,
        "blocked": {},
    }
    answer = {"at": now - 5, "verdict": "silent", "code": None, "answer": "", "sentence": ""}
    return {
        "aor": "sip:4101@pbx.example",
        "standing": standing(row, cause),
        "courses": {
            "group": {
                "binding": fields | binding,
                "targets": [[s.pk, s.address, s.port, "udp", "", None] for s in servers],
                "not_before": 0.0,
                "answers": {
                    str(servers[0].pk): answer | {"sentence": "The server did not answer."},
                    str(servers[1].pk): answer
                    | {"verdict": "bound", "code": 200, "answer": "200 OK"},
                },
            }
        },
    }


def away(group: ServerGroup | None = None, **binding: Any) -> Registration:
    row = make_registration(
        group or make_group(re_register_on=True),
        State.SECONDARY,
        reason="127.0.0.2:5060 did not answer.",
        next_attempt_at=timezone.now() + timedelta(seconds=3500),
    )
    row.snapshot = snapshot(row, "failover", **binding)
    row.save()
    return row


def asked(row: Registration) -> dict[str, Any]:
    client = APIClient()
    client.force_authenticate(make_user("vera", Role.VIEWER))
    answer = client.get(f"/api/v1/registrations/{row.pk}/why/")
    assert answer.status_code == 200
    return dict(answer.json())


def words(row: Registration) -> str:
    client = Client()
    client.force_login(make_user("victor", Role.VIEWER))
    page = client.get(f"/handsets/{row.line.handset_id}/").content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]+>", " ", page, flags=re.S))


def test_the_api_says_where_by_which_rule_what_next_and_what_each_server_said() -> None:
    row = away()
    told = asked(row)
    first, second = row.group.servers.all()
    assert told["server"]["id"] == second.pk
    assert told["cause"] == "failover"
    assert "the next in order that did" in told["rule"]
    assert "failOver.reRegisterOn=1" in told["rule_parameters"]
    assert told["waits_for"] == "Renews, and offers that to 127.0.0.2:5060 first."
    assert told["next_server"]["id"] == first.pk
    assert told["next_at"] is not None
    assert [(a["server"]["id"], a["answer"]) for a in told["answers"]] == [
        (first.pk, ""),
        (second.pk, "200 OK"),
    ]


def test_the_answer_is_what_the_schema_describes() -> None:
    told = asked(away())
    assert set(told) == set(api_why.Why().fields)
    assert set(told["bindings"][0]) == set(api_why.BindingWhy().fields)
    assert set(told["answers"][0]) == set(api_why.AnswerWhy().fields)
    assert set(told["server"]) == set(api_why.NamedServer().fields)


def test_the_page_says_the_same_in_sentences() -> None:
    said = words(away())
    for part in (
        "Failover.",
        "127.0.0.2:5060 did not answer.",
        "the next in order that did",
        "Renews, and offers that to 127.0.0.2:5060 first in",
        "Offers its next renewal to the primary first.",
        "Did not answer.",
        "holds it",
    ):
        assert part in said, part


def test_of_what_is_unknown_nothing_is_said_in_the_present() -> None:
    row = away()
    past = timezone.now() - timedelta(minutes=5)
    Registration.objects.filter(pk=row.pk).update(next_attempt_at=past, due_at=past)
    told = asked(row)
    assert told["rule"].startswith("Last known: Its server did not take the registration")
    assert told["waits_for"] == "Last known: Renews, and offers that to 127.0.0.2:5060 first."
    assert told["bindings"][0]["sentence"] == told["waits_for"]
    assert (told["state"], told["way_home"]) == ("unknown", "")
    said = words(row)
    for part in (
        "Last known At 127.0.0.3:5060 , line 1, extension",
        "Before that Failover. 127.0.0.2:5060 did not answer.",
        "Rule Last known: Its server did not take the registration",
        "held it",
    ):
        assert part in said, part
    for part in (" Where ", " Why ", "holds it", " Home Offers"):
        assert part not in said, part


def test_no_timer_that_brings_it_home_is_said() -> None:
    group = make_group(re_register_on=True, fail_back_mode="duration", fail_back_timeout=0)
    row = away(group)
    assert asked(row)["bindings"][0]["never_comes_home_by_time"] is True
    assert "No timer brings it home: it stays until 127.0.0.3:5060 fails too." in words(row)


def test_a_server_left_alone_is_said_with_its_time() -> None:
    until = timezone.now().timestamp() + 100
    row = away(blocked={"0": until})
    left = asked(row)["bindings"][0]["left_alone"]
    assert [each["server"]["priority"] for each in left] == [1]
    assert "Left alone until" in words(row)


def test_a_line_no_agent_has_run_for_still_answers() -> None:
    row = make_registration(make_group(), State.REGISTERING, reason="Waits for its turn.")
    told = asked(row)
    assert (told["bindings"], told["answers"], told["next_at"]) == ([], [], None)
    assert "Waits for its turn." in words(row)


def test_places_of_one_name_are_told_apart() -> None:
    """Server 1 is a name; the line is at its second place and will offer itself to the first."""
    found = BindingExplained(
        key="group",
        phase="bound",
        server_id=1,
        target="127.0.0.3:5060",
        expires_at=0.0,
        waits_for=WaitsFor.PRIMARY_AT_RENEWAL,
        next_at=0.0,
        next_server_id=1,
        next_target="127.0.0.2:5060",
        never_comes_home_by_time=False,
        failures=0,
        refusals=0,
        left_alone=(),
    )
    server = Server(pk=1, address="pbx.test", port=5060)
    said = explained.waits(found, make_group(), {1: server})
    assert said == "Renews, and offers that to pbx.test:5060 (127.0.0.2:5060) first."


def test_a_line_that_is_off_waits_for_nothing() -> None:
    row = make_registration(make_group(), State.DISABLED, supervision="off")
    told = asked(row)
    assert (told["cause"], told["rule"]) == ("disabled", "Its supervision is off.")
    assert told["waits_for"] == "Nothing: it is switched off."


def test_at_a_site_whose_network_is_suspected_it_waits_for_any_servers_answer() -> None:
    row = away()
    SiteNetwork.objects.update_or_create(
        site=row.site, defaults={"suspected_since": timezone.now()}
    )
    assert "own network is suspected and nothing is moved" in asked(row)["waits_for"]


def test_the_password_is_not_read_for_an_explanation() -> None:
    row = away()
    found = queries.with_memory(queries.registrations(timezone.now())).get(pk=row.pk)
    assert found.line.get_deferred_fields() == {"auth_password"}
    assert "snapshot" not in found.get_deferred_fields()


@pytest.mark.parametrize("waits_for", list(WaitsFor))
def test_every_wait_has_its_sentence(waits_for: WaitsFor) -> None:
    found = BindingExplained(
        key="group",
        phase="bound",
        server_id=2,
        target="127.0.0.3:5060",
        expires_at=0.0,
        waits_for=waits_for,
        next_at=0.0,
        next_server_id=1,
        next_target="127.0.0.2:5060",
        never_comes_home_by_time=False,
        failures=0,
        refusals=0,
        left_alone=(LeftAlone(1, 0.0),),
    )
    servers = {1: Server(name="PBX east"), 2: Server(name="PBX west")}
    said = explained.waits(found, ServerGroup(), servers)
    assert said.endswith(".") and "PBX" in said


@pytest.mark.parametrize("mode", ["failover", "fallback"])
@pytest.mark.parametrize("cause", list(queries.CAUSES))
def test_every_cause_has_its_rule(cause: str, mode: str) -> None:
    assert explained.rule(cause, "primary", ServerGroup(mode=mode)).endswith(".")


def test_a_binding_assumed_elsewhere_is_never_called_plain() -> None:
    group = make_group(shares_registrations=True, fast_failover=True)
    first, second = group.servers.all()
    row = make_registration(group, State.PRIMARY, assumed_on=second)
    sentence = "Assumed on secondary 127.0.0.3:5060 (shared registration, not confirmed)"
    shown = queries.row(queries.registrations(timezone.now()).get(pk=row.pk))
    assert shown["assumed_word"] == sentence
    assert shown["state_word"].startswith(f"{sentence}; registered with 127.0.0.2:5060 until ")
    assert shown["assumed_on"]["id"] == second.pk
    said = words(row)
    assert sentence in said and "assumed" in said
    assert asked(row)["assumed_on"]["id"] == second.pk


def test_a_suspected_network_is_said_on_overview_groups_and_group() -> None:
    group = make_group()
    site = make_site("north")
    SiteNetwork.objects.update_or_create(
        site=site, defaults={"suspected_since": timezone.now() - timedelta(minutes=3)}
    )
    client = Client()
    client.force_login(make_user("vera", Role.VIEWER))
    for url in ("/", "/groups/", f"/groups/{group.pk}/"):
        assert "its own network is suspected" in client.get(url).content.decode(), url


def test_a_server_of_a_fallback_group_that_failed_is_asked_again_alone() -> None:
    found = BindingExplained(
        *("1", "waiting", None, "", None, WaitsFor.BACK_OFF, 0.0, 1, "", False, 1, 0, ())
    )
    servers = {1: Server(name="PBX east")}
    said = explained.waits(found, ServerGroup(mode="fallback"), servers)
    assert said == "PBX east did not take it; asks it again."
