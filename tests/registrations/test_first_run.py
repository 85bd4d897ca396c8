"""The first run: five steps, each whole or not at all, and nothing registers before the last."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from fleet import first_run, services
from fleet.formats import fleet_file
from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.roles import Role, role_of
from registrations import demo
from registrations.models import Registration, State
from tests.support.rows import make_user

pytestmark = pytest.mark.django_db

SERVERS = {
    "form-TOTAL_FORMS": "4",
    "form-INITIAL_FORMS": "0",
    **{f"form-{n}-transport": "udp" for n in range(4)},
}
HEADER = "mac,extension,domain,auth_user,auth_password,group,site,supervision"
PAGES = ("site", "servers", "handsets", "people", "go")


def signed_in(role: Role | None) -> Client:
    client = Client()
    client.force_login(make_user(f"someone-{role}", role))
    return client


@pytest.fixture
def client() -> Client:
    return signed_in(Role.ADMIN)


def group_of(name: str = "wards", *addresses: str, **more: str) -> dict[str, str]:
    given = {f"form-{n}-address": address for n, address in enumerate(addresses)}
    return {**SERVERS, "name": name, "mode": "failover", **given, **more}


def table(*rows: str) -> str:
    return "\n".join([HEADER, *rows])


def row(number: int, supervision: str = "register", group: str = "wards") -> str:
    return (
        f"00907a{number:06x},{4100 + number},pbx.example,u{number},secret-{number},"
        f"{group},main,{supervision}"
    )


@pytest.fixture
def ready(client: Client) -> Client:
    """A site and a group are there."""
    client.post("/start/site/", {"name": "main", "time_zone": "America/Denver"})
    client.post("/start/servers/", group_of("wards", "192.0.2.10", "192.0.2.11"))
    return client


def test_it_leads_from_nothing_to_registrations(client: Client) -> None:
    assert "five steps" in client.get("/").content.decode()
    assert client.get("/start/").headers["Location"] == "/start/site/"
    made = client.post("/start/site/", {"name": "main", "time_zone": "America/Denver"})
    assert made.headers["Location"] == "/start/servers/"
    assert client.get("/start/").headers["Location"] == "/start/servers/"
    made = client.post("/start/servers/", group_of("wards", "192.0.2.10", "pbx.example"))
    assert made.headers["Location"] == "/start/handsets/"
    places = list(Server.objects.values_list("priority", "address", "port"))
    assert places == [(1, "192.0.2.10", 5060), (2, "pbx.example", 0)]
    made = client.post("/start/handsets/", {"text": table(row(1), row(2)), "apply": "1"})
    assert made.headers["Location"] == "/start/people/"
    given = {"name": "vera", "password": "quiet-ward-at-night", "role": str(Role.OPERATOR.value)}
    assert client.post("/start/people/", given).headers["Location"] == "/start/people/"
    assert role_of(User.objects.get(username="vera")) is Role.OPERATOR
    assert client.get("/start/").headers["Location"] == "/start/go/"

    told = client.get("/start/go/").content.decode()
    assert "2 lines of wards" in told
    assert "2 lines wait until somebody says go" in client.get("/").content.decode()
    assert "6 REGISTERs, at most 200 a second, which takes about 1 s." in told
    assert set(Registration.objects.values_list("state", flat=True)) <= {State.DISABLED}
    assert client.post("/start/go/").headers["Location"] == "/"
    assert set(Line.objects.values_list("supervision", "waits")) == {("register", False)}
    assert set(Registration.objects.values_list("state", flat=True)) == {State.REGISTERING}
    assert "wait until somebody" not in client.get("/").content.decode()
    assert "Nothing waits" in client.get("/start/go/").content.decode()


def test_go_starts_what_was_to_register_and_nothing_else(ready: Client) -> None:
    ready.post("/start/handsets/", {"text": table(row(1), row(2, "off"))})
    ready.post("/start/handsets/", {"text": table(row(3))})
    Line.objects.filter(extension="4103").update(supervision="observe")
    assert first_run.go(by="vera") == 1
    found = dict(Line.objects.values_list("extension", "supervision"))
    assert found == {"4101": "register", "4102": "off", "4103": "observe"}
    assert first_run.go(by="vera") == 0


def test_a_line_that_registers_already_does_not_wait(ready: Client) -> None:
    services.import_files([("a.csv", table(row(1)).encode())], by="vera")
    ready.post("/start/handsets/", {"text": table(row(1), row(2))})
    found = dict(Line.objects.values_list("extension", "waits"))
    assert found == {"4101": False, "4102": True}
    assert Line.objects.get(extension="4101").supervision == "register"


def test_what_waits_goes_on_waiting_through_another_import(ready: Client) -> None:
    ready.post("/start/handsets/", {"text": table(row(1), row(2, "off"))})
    ready.post("/start/handsets/", {"text": table(row(1), row(2))})
    assert set(Line.objects.values_list("supervision", "waits")) == {("off", True)}
    ready.post("/start/handsets/", {"text": table(row(1, "off"))})
    assert first_run.go(by="vera") == 1
    assert Line.objects.get(supervision="register").extension == "4102"


def test_a_look_changes_nothing_and_tells_what_would_come(ready: Client) -> None:
    text = table(row(1), row(2), row(3, "off"))
    headers = {"HX-Request": "true"}
    told = ready.post("/start/handsets/", {"text": text, "check": "1"}, headers=headers)
    assert not Handset.objects.exists()
    shown = told.content.decode()
    assert "3 new, 0 changed, 0 as they are" in shown
    assert "2 lines will register, but not before you say go" in shown
    assert "<html" not in shown


def test_every_fault_is_told_by_row_and_field_and_nothing_is_imported(ready: Client) -> None:
    text = table(row(1), row(2, group="nowhere"), row(3, supervision=""), "12,,,,,,,")
    told = ready.post("/start/handsets/", {"text": text, "apply": "1"})
    assert told.status_code == 400
    shown = told.content.decode()
    for said in ("There is no group &#x27;nowhere&#x27;", "Name the supervision", "twelve"):
        assert said in shown
    assert "secret-1" not in shown
    assert not Handset.objects.exists()


def test_uploads_are_taken_together_and_pasted_yaml_too(client: Client) -> None:
    fleet = first_run.sample("main", "wards").partition("handsets:")[0]
    files = [
        SimpleUploadedFile("fleet.yaml", fleet.encode()),
        SimpleUploadedFile("handsets.csv", table(row(1)).encode()),
    ]
    assert client.post("/start/handsets/", {"files": files}).status_code == 302
    assert Line.objects.get().waits
    Handset.objects.all().delete()
    pasted = first_run.sample("main", "wards")
    assert client.post("/start/handsets/", {"text": pasted}).status_code == 302
    assert Handset.objects.count() == 3
    assert not Line.objects.filter(waits=True).exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (group_of("wards"), "Name at least the primary."),
        (group_of("wards", "192.0.2.1", "192.0.2.1"), "stands in this group already"),
        (group_of("wards", "not an address"), "is neither an IP address nor a host name"),
        (group_of("wards", "192.0.2.1", **{"form-0-port": "70000"}), "from 0 to 65535"),
        (group_of("wards", "192.0.2.1", **{"form-0-transport": "pigeon"}), "valid choice"),
        (group_of("", "192.0.2.1"), "required"),
        (group_of("there", "192.0.2.1"), "There is a group of that name already."),
    ],
)
def test_a_group_with_a_fault_is_not_made(client: Client, given: dict[str, str], said: str) -> None:
    ServerGroup.objects.create(name="there")
    answer = client.post("/start/servers/", given)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert ServerGroup.objects.count() == 1
    assert not Server.objects.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "main campus", "time_zone": "UTC"}, "Letters, digits, hyphens"),
        ({"name": "main", "time_zone": "Mars/Base"}, "There is no time zone"),
        ({"name": "there", "time_zone": "UTC"}, "There is a site of that name already."),
    ],
)
def test_a_site_with_a_fault_is_not_made(client: Client, given: dict[str, str], said: str) -> None:
    Site.objects.create(name="there")
    answer = client.post("/start/site/", given)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert Site.objects.count() == 1


def test_a_user_with_a_weak_password_or_a_taken_name_is_not_made(client: Client) -> None:
    for given, said in (
        ({"name": "vera", "password": "123", "role": "1"}, "too short"),
        ({"name": "Someone-4", "password": "quiet-ward-at-night", "role": "1"}, "already"),
        ({"name": "vera", "password": "quiet-ward-at-night", "role": "9"}, "valid choice"),
    ):
        User.objects.get_or_create(username="someone-4")
        before = User.objects.count()
        answer = client.post("/start/people/", given)
        assert answer.status_code == 400
        assert said in answer.content.decode()
        assert given["password"] not in answer.content.decode()
        assert User.objects.count() == before


def test_steps_may_be_skipped_and_taken_up_again(client: Client) -> None:
    for page in PAGES:
        assert client.get(f"/start/{page}/").status_code == 200
    assert "There are no handsets yet" in client.get("/start/go/").content.decode()
    assert client.get("/start/").headers["Location"] == "/start/site/"


@pytest.mark.parametrize("role", [None, *Role])
def test_configurers_set_up_and_admins_alone_make_users(role: Role | None) -> None:
    client = signed_in(role)
    may = role is not None and role >= Role.CONFIGURER
    for page in ("", *(f"{page}/" for page in PAGES), "sample-fleet.yaml"):
        wanted = (302 if page == "" else 200) if may else 403
        assert client.get(f"/start/{page}").status_code == wanted, page
    sites = client.post("/start/site/", {"name": "main", "time_zone": "UTC"})
    assert sites.status_code == (302 if may else 403)
    client.post("/start/servers/", group_of("wards", "192.0.2.1"))
    client.post("/start/handsets/", {"text": table(row(1))})
    assert Handset.objects.exists() is may
    assert client.post("/start/go/").status_code == (302 if may else 403)
    given = {"name": "vera", "password": "quiet-ward-at-night", "role": "4"}
    made = client.post("/start/people/", given)
    assert made.status_code == (302 if role is Role.ADMIN else 403)
    assert User.objects.filter(username="vera").exists() is (role is Role.ADMIN)
    assert client.post("/start/sample-fleet/").status_code == (404 if may else 403)


def test_who_is_not_logged_in_sets_nothing_up() -> None:
    for page in ("", *(f"{page}/" for page in PAGES), "sample-fleet.yaml"):
        assert Client().get(f"/start/{page}").headers["Location"].startswith("/accounts/login/")


def test_the_sample_file_imports_cleanly_and_registers_nothing(client: Client) -> None:
    answer = client.get("/start/sample-fleet.yaml")
    assert 'filename="sample-fleet.yaml"' in answer.headers["Content-Disposition"]
    _, faults = fleet_file.read("sample.yaml", answer.content)
    assert faults == []
    services.import_files([("sample.yaml", answer.content)], by="vera")
    assert set(Line.objects.values_list("supervision", flat=True)) == {"off"}


def test_one_click_makes_the_demos_fleet_where_its_registrars_run(
    client: Client, settings: Any, live_redis: str
) -> None:
    settings.DEMO = True
    demo._redis.cache_clear()
    assert client.post("/start/sample-fleet/").status_code == 404
    for address in ("127.0.0.2", "127.0.0.3"):
        demo._redis().set(f"rollcall:demo:running:{address}:5074", "1")
    assert "Make the sample fleet" in client.get("/start/site/").content.decode()
    assert client.post("/start/sample-fleet/").headers["Location"] == "/"
    assert set(Server.objects.values_list("port", flat=True)) == {5074}
    assert Handset.objects.count() == 200
    assert client.post("/start/sample-fleet/").status_code == 404
    demo._redis.cache_clear()


EMPTY = {
    "/": "/start/",
    "/groups/": "/start/servers/",
    "/handsets/": "/start/handsets/",
    "/jobs/": "/handsets/",
    "/history/": "/handsets/",
}


@pytest.mark.parametrize("page", EMPTY)
def test_an_empty_page_says_what_to_do_first(page: str, client: Client) -> None:
    main = client.get(page).content.decode().partition("<main")[2]
    assert f'href="{EMPTY[page]}"' in main
    seen = signed_in(Role.VIEWER).get(page).content.decode().partition("<main")[2]
    assert 'href="/start/' not in seen
