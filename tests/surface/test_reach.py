"""Users who are limited to sites: every address, API method and socket, asked by one of them.

What is not narrowed refuses them, and what is new counts as that: it is missing from NARROWED
here. What is narrowed shows them nothing of another site, by name, by number or in a sum.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.people import SiteLimit
from fleet.reach import LIMITED, Narrowed, carried, everything, limited_to
from fleet.roles import Role
from registrations import jobs
from registrations.models import (
    Census,
    Incident,
    Registration,
    SavedView,
    ServerChange,
    ServerHealth,
    SiteNetwork,
    StandbyProof,
    State,
    Transition,
)
from tests.registrations.test_api_roles import ANY_VERSION
from tests.registrations.test_api_roles import MAY as API_MAY
from tests.support.databases import database, migrated_postgres
from tests.support.rows import (
    make_group,
    make_proof,
    make_registration,
    make_server_change,
    make_site,
    make_token,
    make_transition,
    make_user,
)
from tests.surface.test_permissions import MAY, pages, url_of

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db

NARROWED = {
    "overview get",
    "moves get",
    "handsets get",
    "handset_places get",
    "handset_choices get",
    "handset_columns post",
    "resume_many get",
    "resume_many post",
    "view_create post",
    "view_change post",
    "view_replace post",
    "view_delete post",
    "handset get",
    "handset_by_mac get",
    "resume post",
    "override get",
    "override post",
    "groups get",
    "group get",
    "server get",
    "readiness get",
    "proofs get",
    "findings get",
    "sites get",
    "wallboard get",
    "history get",
    "between get",
    "incidents_open get",
    "jobs get",
    "job get",
    "job_new get",
    "job_new post",
    "job_pause post",
    "job_resume post",
    "job_cancel post",
    "job_roll_back post",
    "times get",
    "times post",
    "tokens get",
    "tokens post",
    "token_revoke post",
}
"""The pages on which a limited user meets their own sites alone."""

API_NARROWED = {
    "sites/ get",
    "sites/ID/ get",
    "groups/ get",
    "groups/ID/ get",
    "servers/ get",
    "servers/ID/ get",
    "handsets/ get",
    "handsets/ID/ get",
    "lines/ get",
    "lines/ID/ get",
    "between/ get",
    "registrations/ get",
    "registrations/ID/ get",
    "registrations/ID/why/ get",
    "registrations/ID/trace/ get",
    "registrations/resume/ post",
    "registrations/ID/resume/ post",
    "registrations/ID/override/ post",
    "views/ get",
    "views/ post",
    "views/ID/ get",
    "views/ID/ patch",
    "views/ID/ delete",
    "readiness/ get",
    "readiness/summary/ get",
    "readiness/export/ get",
    "findings/ get",
    "summary/ get",
    "transitions/ get",
    "transitions/ID/ get",
    "transitions/export/ get",
    "registrations/export/ get",
    "failbacks/ get",
    "failbacks/ post",
    "failbacks/preview/ post",
    "failbacks/ID/ get",
    "failbacks/ID/cancel/ post",
    "failbacks/ID/pause/ post",
    "failbacks/ID/resume/ post",
    "failbacks/ID/rollback/ post",
    "tokens/ get",
    "tokens/ post",
    "tokens/ID/ delete",
}

NO_NUMBER = {"incident-limits": "flapping"}
"""What stands for ids in the addresses of what has a word instead."""

NO_ROLE = {name for name, may in MAY.items() if any(least < Role.VIEWER for least in may.values())}
"""What asks for no role shows nothing of the fleet, or has a key of its own."""


def limited_user(name: str, role: Role, *sites: Site) -> Any:
    user = make_user(name, role)
    for site in sites:
        SiteLimit.objects.create(user=user, site=site)
    return user


def page_calls() -> Iterator[tuple[str, str]]:
    for name, may in MAY.items():
        if name not in NO_ROLE:
            yield from ((name, method) for method in may)


def test_every_narrowed_page_is_there() -> None:
    calls = {f"{name} {method}" for name, method in page_calls()}
    assert calls >= NARROWED
    api = {f"{path} {method}" for path, may in API_MAY.items() for method in may}
    assert api >= API_NARROWED


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.CONFIGURER])
def test_a_limited_user_gets_no_further_than_the_pages_that_are_narrowed(
    role: Role, live_redis: str
) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(limited_user("nora", role, make_site("north"), make_site("west")))
    there = pages()
    wrong = []
    for name, method in page_calls():
        answer = getattr(client, method)(url_of(name, there[name]))
        refused = answer.status_code == 403
        is_open = MAY[name][method] <= role and f"{name} {method}" in NARROWED
        if refused == is_open:
            wrong.append(f"{name} {method}: {answer.status_code}")
        elif refused and MAY[name][method] <= role:
            assert LIMITED in answer.content.decode(), name
    assert wrong == [], "Narrow it to the user's sites and add it to NARROWED, or refuse it."


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.CONFIGURER])
def test_a_limited_users_token_gets_no_further_than_the_methods_that_are_narrowed(
    role: Role, live_redis: str
) -> None:
    client = APIClient(raise_request_exception=False)
    key = make_token(limited_user("nora", role, make_site("north"), make_site("west")))
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    wrong = []
    for path, may in API_MAY.items():
        for method, least in may.items():
            url = f"/api/v1/{path.replace('ID', NO_NUMBER.get(path.split('/')[0], '987654321'))}"
            answer = getattr(client, method)(url, {}, format="json", headers=ANY_VERSION)
            refused = answer.status_code == 403
            is_open = f"{path} {method}" in API_NARROWED and least <= role
            if path.startswith("views/ID/"):
                is_open = f"{path} {method}" in API_NARROWED
            if refused == is_open or answer.status_code >= 500:
                wrong.append(f"{path} {method}: {answer.status_code}")
    assert wrong == [], "Narrow it to the user's sites and add it to API_NARROWED, or refuse it."


CANARY = "blackbird"
"""In everything that belongs to the other site and has a name."""
MAC = "00907acafe"
OTHERS = 7


@pytest.fixture
def world(live_redis: str) -> dict[str, Any]:
    """Two sites of one group, and a group of the other site's own; what is `theirs` has canaries.

    By the word of its kind: what the user may reach, and what not.
    """
    north, south = make_site("north"), make_site(f"{CANARY}-south")
    shared, own = make_group("ward"), make_group(f"{CANARY}-group")
    own.servers.update(name=f"{CANARY}-server", address=f"{CANARY}.example")
    mine = make_registration(shared, State.SECONDARY, north, name="Bed 1")
    theirs = [
        make_registration(
            shared if n % 2 else own, State.SECONDARY, south, name=f"{CANARY} bed {n}"
        )
        for n in range(OTHERS)
    ]
    for n, row in enumerate(theirs):
        handset = row.line.handset
        handset.mac, handset.model, handset.tags = f"{MAC}{n:02x}", f"{CANARY}-84", [CANARY]
        handset.save()
        row.line.extension = f"77{CANARY}{n}"
        row.line.save()
        row.reason = f"{CANARY} said so."
        row.save()
        make_proof(row, 1, "refused", reason=f"{CANARY} refused.")
    now = timezone.now()
    ours = {"mac": mine.line.handset.mac, "handset_name": "Bed 1", "site_name": "north"}
    copied = {"mac": f"{MAC}00", "handset_name": f"{CANARY} bed", "extension": f"77{CANARY}"}
    copied |= {"site_name": south.name, "reason": f"{CANARY} said so."}
    at = now - timedelta(minutes=9)
    changes = [make_transition(mine, at=at, **ours)]
    changes += [make_transition(row, at=at, **copied) for row in theirs]
    make_server_change(shared.servers.all()[0], site=south, site_name=south.name, at=at)
    for n, (kind, sites) in enumerate(product(("server_silent", "handset"), (0, 1, 2))):
        Incident.objects.create(
            kind=kind,
            severity="critical",
            cause=f"{kind}:{n}",
            # Only the north hears nothing of a server that others use as well.
            title=f"{kind} {n}{CANARY if n != 3 else ''}",
            happened=f"{1 if n == 3 else 8} handsets.",
            sites=([north.name], [south.name], [north.name, south.name])[sites],
            groups=["ward"],
            server=shared.servers.all()[0],
            server_name="PBX A",
            opened_at=now,
            detected_at=now,
        )
    admin = make_user(f"{CANARY}-admin", Role.ADMIN)
    ordered = [
        jobs.order({"registrations": [row.pk]}, "setup").pk for row in (mine, theirs[1], theirs[3])
    ]
    for n, shared_view in enumerate((True, False)):
        SavedView.objects.create(
            slug=f"{CANARY}-{n}", name=f"{CANARY} list", owner=admin, is_shared=shared_view
        )
    return {
        "site": (north.pk, south.pk),
        "group": (shared.pk, own.pk),
        "server": (shared.servers.all()[0].pk, own.servers.all()[0].pk),
        "handset": (mine.line.handset_id, theirs[1].line.handset_id),
        "line": (mine.line_id, theirs[1].line_id),
        "registration": (mine.pk, theirs[1].pk),
        "transition": (changes[0].pk, changes[1].pk),
        "job": (ordered[0], ordered[1]),
        "mac": (mine.line.handset.mac, f"{MAC}01"),
        "view": ("", f"{CANARY}-0"),
        "user": limited_user("nora", Role.CONFIGURER, north),
    }


def shows(answer: Any) -> str:
    """All that an answer says, its headers too."""
    told = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{told.decode(errors='replace')} {answer.headers}".lower()


def leaked(said: str) -> list[str]:
    """What it says of the other site, with what is around it."""
    colons = ":".join(MAC[n : n + 2] for n in range(0, len(MAC), 2))
    return re.findall(f".{{0,60}}(?:{CANARY}|{MAC}|{colons}).{{0,30}}", said)


LOOKS = ("", "?at={at}", "?q=bed", "?site={site}", "?group={group}", "?format=jsonl", "?sort=site")


SUMS = r"\b(?:3|4|7|8) (?:handset|registration|line)s"
"""How many there are elsewhere, in the group of both sites or in its own, and in all."""

PAGE_KINDS = {"handset": "handset", "handset_by_mac": "mac", "job": "job"}
PAGE_KINDS |= {"override": "registration", "group": "group", "server": "server"}


def test_no_page_shows_anything_of_another_site(world: dict[str, Any]) -> None:
    client = Client()
    client.force_login(world["user"])
    at = (timezone.now() - timedelta(minutes=1)).isoformat().replace("+", "%2B")
    there = pages()
    for name in sorted(call.removesuffix(" get") for call in NARROWED if call.endswith(" get")):
        words = there[name].pattern.converters
        assert not words or name in PAGE_KINDS, f"Say in PAGE_KINDS of what {name} is."
        kind = PAGE_KINDS.get(name, "")
        for n, look in product((0, 1), LOOKS):
            url = reverse(name, kwargs={word: world[kind][n] for word in words})
            url += look.format(at=at, site=world["site"][n], group=world["group"][n])
            answer = client.get(url)
            # Of a handset that is not there the history is shown, which is empty.
            well = {404, 302} if n and kind else {200, 302}
            assert answer.status_code in well, f"{url}: {answer.status_code}"
            said = "" if answer.status_code == 302 else shows(answer)
            assert leaked(said) == [] and re.findall(SUMS, said) == [], url


def test_the_overview_counts_only_the_users_own(world: dict[str, Any]) -> None:
    client = Client()
    client.force_login(world["user"])
    page = client.get("/").content.decode()
    assert "1 registration in 1 group" in page
    assert "You see north only." in page
    assert "4 incidents" in page
    assert "handset 3" in page, "what is of the user's own site alone is told as it is"
    assert page.count("Server silent: PBX A") == 2
    assert page.count("It may hit handsets of other sites too") == 3
    assert client.get("/handsets/places/").json()["total"] == 1
    assert client.get("/api/v1/summary/").json()["total"] == 1
    (group,) = client.get("/api/v1/readiness/summary/").json()["groups"]
    assert max(server["total"] for server in group["servers"]) <= 1
    for address in ("/sites/", "/readiness/", "/wallboard/"):
        told = re.findall(r">\s*(\d+)\s*<", client.get(address).content.decode())
        assert told and set(told) <= {"0", "1", "2"}, address


API_KINDS = {"sites": "site", "groups": "group", "servers": "server", "handsets": "handset"}
API_KINDS |= {"lines": "line", "registrations": "registration", "transitions": "transition"}
API_KINDS |= {"failbacks": "job", "views": "view"}


def test_no_api_method_tells_anything_of_another_site(world: dict[str, Any]) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {make_token(world['user'])}")
    at = (timezone.now() - timedelta(minutes=1)).isoformat().replace("+", "%2B")
    for call in sorted(API_NARROWED):
        path, method = call.split()
        kind = API_KINDS.get(path.split("/")[0], "") if "ID" in path else ""
        if not kind and method != "get":
            continue
        for look in LOOKS if method == "get" else ("",):
            if kind:
                url = f"/api/v1/{path.replace('ID', str(world[kind][1]))}"
                address = url + look.format(at=at, site=1, group=1)
                answer = getattr(client, method)(address, {}, format="json", headers=ANY_VERSION)
                assert answer.status_code in {404, 400}, f"{method} {url}"
                assert leaked(shows(answer)) == [], url
            if method == "get" and path != "views/ID/" and not (kind and look):
                own = path.replace("ID", str(world[kind][0])) if kind else path
                own += look.format(at=at, site=world["site"][0], group=world["group"][0])
                if path == "between/":
                    own += f"{'&' if look else '?'}from=2026-01-01T00:00:00Z"
                answer = client.get(f"/api/v1/{own}")
                assert answer.status_code in {200, 400}, own
                assert leaked(shows(answer)) == [], own


def test_what_a_limited_user_orders_reaches_their_own_alone(world: dict[str, Any]) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {make_token(world['user'])}")
    jobs.Job.objects.all().delete()
    for scope in ({"all": True}, {"group": world["group"][0]}, {"filter": "q=bed"}):
        answer = client.post("/api/v1/failbacks/", scope, format="json")
        assert answer.status_code == 201, answer.content
        told = answer.json()
        assert [each["registration"] for each in told["results"]] == [world["registration"][0]]
        asked = jobs.in_scope(told["scope"], timezone.now())
        assert [row.pk for row in asked] == [world["registration"][0]], "as a worker reads it"
    for scope in (
        {"site": world["site"][1]},
        {"group": world["group"][1]},
        {"registrations": [world["registration"][1]]},
        {"filter": f"site={world['site'][1]}"},
        {"filter": f"site={world['site'][0]}&site={world['site'][1]}"},
    ):
        answer = client.post("/api/v1/failbacks/", scope, format="json")
        assert answer.status_code == 400, scope
        assert "There is no" in answer.content.decode()


OF_ALL = {
    "Account": "a user's own",
    "AlertRule": "configured",
    "ApiToken": "a user's own",
    "Channel": "configured",
    "Delivery": "configured",
    "DnsRecord": "its group's",
    "Drain": "of a server, wherever its handsets are",
    "Drill": "orders of all sites",
    "ExportJob": "orders of all sites",
    "ExportPart": "orders of all sites",
    "ImportJob": "configured",
    "ImportPart": "configured",
    "Incident": "queries.incidents",
    "IncidentEntry": "queries.incidents",
    "IncidentLimit": "configured",
    "IncidentLook": "nobody's",
    "Job": "jobs.listing",
    "JobResult": "its job's",
    "MaintenanceWindow": "configured",
    "NotificationAddress": "its handset's",
    "Preference": "a user's own",
    "Provenance": "its handset's; of groups, configured",
    "QuietHours": "configured",
    "SavedView": "saved_views.visible_to",
    "ServerAcceptance": "for workers",
    "ServerPace": "its server's",
    "ServerPause": "its server's",
    "SiteLimit": "a user's own",
    "WallboardToken": "configured",
}
"""Models whose rows do not know by themselves who may see them, and who decides instead."""


def test_every_model_is_narrowed_or_somebody_has_decided_why_not() -> None:
    free = {
        model.__name__
        for app in ("fleet", "registrations")
        for model in apps.get_app_config(app).get_models()
        if not isinstance(model._default_manager, Narrowed)
    }
    assert free == OF_ALL.keys()


def test_no_row_of_another_site_is_there_by_any_model(database: str) -> None:
    north, south = make_site("north"), make_site("south")
    shared, own = make_group("ward"), make_group("south ward")
    mine = make_registration(shared, State.SECONDARY, north)
    for row in (mine, make_registration(shared, site=south), make_registration(own, site=south)):
        make_transition(row, site_name=row.site.name)
        make_proof(row, 1, "proved")
    for site in (north, south):
        make_server_change(own.servers.all()[0], site=site)
        ServerHealth.objects.create(
            server=own.servers.all()[0], site=site, since=timezone.now(), due_at=timezone.now()
        )
        SiteNetwork.objects.create(site=site)
    Census.objects.create(at=timezone.now(), states={"primary": 3})
    sites = Site.objects.count()
    with limited_to(frozenset({north.pk})):
        for model in (Site, ServerGroup, Handset, Line, Registration, Transition):
            assert model._default_manager.count() == 1, model
        for model in (StandbyProof, ServerChange, ServerHealth, SiteNetwork):
            assert [row.site for row in model._default_manager.all()] == [north], model
        assert set(Server.objects.all()) == set(shared.servers.all())
        assert not Census.objects.exists() and not own.handsets.exists()
        assert shared.handsets.count() == 1
        assert Registration.objects.update(attempt=7) == 1
        with everything():
            assert Registration.objects.filter(attempt=7).count() == 1
            assert Site.objects.count() == sites
    assert Registration.objects.count() == 3


def test_a_stream_is_made_for_who_asked_and_not_for_who_reads_it(database: str) -> None:
    north, south = make_site("north"), make_site("south")

    def parts() -> Iterator[int]:
        for _ in range(3):
            yield Site.objects.count()

    with limited_to(frozenset({north.pk})):
        stream = carried(parts())
    assert next(stream) == 1
    with limited_to(frozenset({north.pk, south.pk})):
        assert next(stream) == 1
        assert Site.objects.count() == 2
    assert list(stream) == [1]
