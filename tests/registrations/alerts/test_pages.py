"""The pages of incidents and of who is told: what they say, keep, refuse and send."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fleet.roles import Role
from registrations.alerts import courier, looking, queue
from registrations.models import (
    AlertRule,
    Channel,
    Delivery,
    Incident,
    IncidentEntry,
    MaintenanceWindow,
    ServerHealth,
)
from tests.support import smtp
from tests.support.rows import make_group, make_registration, make_site, make_user

pytestmark = pytest.mark.django_db

RULE = {
    "name": "Nights",
    "is_on": "on",
    "severity": "warning",
    "at_least": "0",
    "percent": "0",
    "after_s": "5",
    "repeat_s": "30",
    "tells_end": "on",
    "days": list("1234567"),
    "time_zone": "America/Denver",
}


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(make_user("olga", Role.CONFIGURER))
    return client


@pytest.fixture
def incident(db: None) -> Incident:
    """A server that fell silent ten minutes ago."""
    group, now = make_group(), timezone.now()
    ServerHealth.objects.create(
        server=group.servers.get(priority=1),
        site=make_site(),
        condition="silent",
        since=now - timedelta(minutes=10),
        due_at=now,
    )
    looking.look(now)
    return Incident.objects.get()


def make_channel(**more: Any) -> Channel:
    to = {"to": ["night@hospital.example"]}
    return Channel.objects.create(name="night", kind="email", settings=to, **more)


def words(client: Client, name: str, *args: Any, **query: str) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_overview_and_the_wallboard_name_what_is_on_first(
    desk: Client, incident: Incident
) -> None:
    for page in ("overview", "wallboard", "incidents_open"):
        assert incident.title in words(desk, page)


def test_the_list_is_filtered_and_exported_as_it_is_shown(desk: Client, incident: Incident) -> None:
    assert incident.title in words(desk, "incidents", state="open", kind="server_silent")
    assert "No incident matches" in words(desk, "incidents", state="resolved")
    assert "does not fit" in words(desk, "incidents", colour="red")
    answer = desk.get("/api/v1/incidents/export/", {"state": "open", "format": "csv"})
    rows = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(rows) == 2 and rows[0].startswith("id,kind,severity,state,title")
    assert incident.title in rows[1]


def test_an_operator_takes_it_in_hand_with_a_comment(client: Client, incident: Incident) -> None:
    client.force_login(make_user("nora", Role.OPERATOR))
    assert "I have it in hand" in words(client, "incident", incident.pk)
    url = reverse("incident_acknowledge", args=[incident.pk])
    client.post(url, {"comment": "The switch is being replaced."})
    client.post(url, {"comment": "Done at four."})
    page = words(client, "incident", incident.pk)
    assert "The switch is being replaced." in page and "Done at four." in page
    kept = Incident.objects.get()
    assert (kept.state, kept.acknowledged_by, kept.comment) == (
        "acknowledged",
        "nora",
        "Done at four.",
    )
    whats = list(IncidentEntry.objects.values_list("what", flat=True))
    assert whats == ["opened", "acknowledged", "commented"]


def test_a_viewer_sees_it_and_takes_nothing_in_hand(client: Client, incident: Incident) -> None:
    client.force_login(make_user("vera", Role.VIEWER))
    assert "I have it in hand" not in words(client, "incident", incident.pk)
    assert client.post(reverse("incident_acknowledge", args=[incident.pk])).status_code == 403


def test_what_is_over_is_not_acknowledged_but_may_be_commented(
    desk: Client, incident: Incident
) -> None:
    Incident.objects.update(resolved_at=timezone.now())
    url = reverse("incident_acknowledge", args=[incident.pk])
    assert "It is over" in desk.post(url, {"comment": " "}, follow=True).content.decode()
    page = desk.post(url, {"comment": "It was a fuse."}, follow=True).content.decode()
    assert "Commented" in page and "It was a fuse." in page and "Add a comment" in page
    kept = Incident.objects.get()
    assert (kept.acknowledged_at, kept.acknowledged_by) == (None, "")
    assert IncidentEntry.objects.latest("pk").by == "olga"


def test_a_rule_is_kept_in_seconds_and_shown_in_minutes(desk: Client) -> None:
    channel = make_channel()
    desk.post(reverse("rule_new"), RULE | {"channels": [channel.pk], "kinds": ["server_silent"]})
    rule = AlertRule.objects.get()
    assert (rule.after_s, rule.repeat_s, rule.kinds) == (300, 1800, ["server_silent"])
    assert rule.made_by == "olga" and list(rule.channels.all()) == [channel]
    page = words(desk, "alerts")
    assert "After 5 min, again every 30 min until acknowledged" in page
    assert 'value="5"' in words(desk, "rule_edit", rule.pk)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"days": []}, "Choose at least one day"),
        ({"begins": "08:00"}, "Give both times"),
        ({"time_zone": "Mars/Base"}, "There is no time zone"),
        ({"name": ""}, "This field is required"),
        ({"percent": "400"}, "less than or equal to 100"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_sentence(
    desk: Client, change: dict[str, Any], said: str
) -> None:
    answer = desk.post(reverse("rule_new"), RULE | change)
    assert answer.status_code == 422 and said in answer.content.decode()
    assert not AlertRule.objects.exists()


def test_a_rule_is_tried_on_the_last_thirty_days_and_nothing_is_kept(
    desk: Client, incident: Incident
) -> None:
    Incident.objects.update(detected_at=timezone.now() - timedelta(hours=2))
    page = desk.post(reverse("rule_new"), RULE | {"try": "1"}).content.decode()
    # After five minutes, and again each half hour of two hours.
    assert "The last 30 days: 4 messages of 1 incident" in page
    assert not AlertRule.objects.exists() and not Delivery.objects.exists()
    page = desk.post(reverse("rule_new"), RULE | {"try": "1", "at_least": "9"}).content.decode()
    assert "It would have told nobody anything." in page


def test_a_channel_is_tested_and_its_log_says_what_came(desk: Client, sink: smtp.Sink) -> None:
    desk.post(
        reverse("channel_new", args=["email"]),
        {"name": "night", "is_on": "on", "to": "a@x.example\nb@x.example, a@x.example"},
    )
    channel = Channel.objects.get()
    assert channel.settings == {"to": ["a@x.example", "b@x.example"]}
    desk.post(reverse("channel_test", args=[channel.pk]))
    courier.carry_once(channel.pk)
    assert sorted(sink.recipients) == ["a@x.example", "b@x.example"]
    assert "Taken by the mail server." in words(desk, "channel_edit", channel.pk)


def test_a_mistyped_address_is_refused(desk: Client) -> None:
    url = reverse("channel_new", args=["email"])
    answer = desk.post(url, {"name": "night", "to": "a@x.example, nobody"})
    assert answer.status_code == 422 and "nobody is no mail address." in answer.content.decode()


def test_a_deleted_channel_gives_its_messages_up_and_the_log_keeps_its_name(
    desk: Client,
) -> None:
    channel = make_channel()
    desk.post(reverse("channel_test", args=[channel.pk]))
    desk.post(reverse("alert_delete", args=["channel", channel.pk]))
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.channel_name) == ("given_up", "night")
    assert "The channel was deleted." in words(desk, "deliveries")


def test_a_channel_by_which_a_rule_tells_alone_is_not_deleted(desk: Client) -> None:
    channel = make_channel()
    rule = AlertRule.objects.create(name="Nights")
    rule.channels.add(channel)
    answer = desk.delete(f"/api/v1/channels/{channel.pk}/")
    assert answer.status_code == 409 and "the rule Nights" in answer.json()["detail"]
    page = words(desk, "channel_edit", channel.pk)
    assert "the rule Nights" in page and "Delete</button>" not in page
    said = desk.post(reverse("alert_delete", args=["channel", channel.pk]), follow=True)
    assert "cannot be deleted" in said.content.decode() and Channel.objects.exists()
    rule.channels.add(Channel.objects.create(name="day", kind="email", settings={"to": ["a@b.c"]}))
    page = words(desk, "channel_edit", channel.pk)
    assert "These rules go on without it: Nights." in page and "Delete</button>" in page
    assert desk.delete(f"/api/v1/channels/{channel.pk}/").status_code == 204
    assert [each.name for each in rule.channels.all()] == ["day"]


def test_what_was_given_up_is_tried_again_on_demand(desk: Client, sink: smtp.Sink) -> None:
    channel = make_channel()
    desk.post(reverse("channel_test", args=[channel.pk]))
    Delivery.objects.update(state="given_up", next_try_at=None)
    desk.post(reverse("delivery_again", args=[Delivery.objects.get().pk]))
    courier.carry_once(channel.pk)
    assert Delivery.objects.get().state == "sent"


def test_a_maintenance_is_meant_by_the_clock_of_its_zone(desk: Client) -> None:
    group = make_group()
    once = {
        "name": "Patches",
        "time_zone": "America/Denver",
        "often": "once",
        "starts": "2027-01-05T02:00",
        "stops": "2027-01-05T04:00",
        "groups": [group.pk],
    }
    desk.post(reverse("maintenance_new"), once)
    window = MaintenanceWindow.objects.get()
    assert window.starts_at is not None and window.starts_at.isoformat() == (
        "2027-01-05T09:00:00+00:00"
    )
    url = reverse("maintenance_edit", args=[window.pk])
    assert 'value="2027-01-05T02:00"' in desk.get(url).content.decode()
    weekly = {"often": "weekly", "days": ["2", "4"], "begins": "22:00", "ends": "02:00"}
    desk.post(url, once | weekly)
    window.refresh_from_db()
    assert (window.days, window.begins, window.starts_at) == ("24", time(22), None)
    assert "Tue, Thu 22:00 to 02:00" in words(desk, "alerts")


def test_a_maintenance_of_nothing_is_refused(desk: Client) -> None:
    answer = desk.post(
        reverse("maintenance_new"), {"name": "x", "time_zone": "UTC", "often": "once"}
    )
    page = answer.content.decode()
    assert "nothing else is muted" in page and "an end that is later" in page


def test_the_api_refuses_what_the_forms_refuse(desk: Client) -> None:
    def post(what: str, **given: Any) -> Any:
        return desk.post(f"/api/v1/{what}/", given, content_type="application/json")

    assert post("alert-rules", name="x", days="9").status_code == 400
    assert post("channels", name="x", kind="email", settings={"to": ["no"]}).status_code == 400
    assert post("maintenance", name="x", days="1").status_code == 400
    assert "percent" in post("alert-rules", name="x", percent=400).json()
    made = post("alert-rules", name="x", kinds=["horizon"], percent=100)
    assert made.status_code == 201 and made.json()["kinds"] == ["horizon"]
    pk = made.json()["id"]
    change = desk.patch(
        f"/api/v1/alert-rules/{pk}/", {"repeat_s": 60}, content_type="application/json"
    )
    assert change.json()["repeat_s"] == 60
    stale = {"repeat_s": 90, "version": made.json()["version"]}
    refused = desk.patch(f"/api/v1/alert-rules/{pk}/", stale, content_type="application/json")
    assert refused.status_code == 412


def test_the_api_acknowledges_and_tells_the_timeline(desk: Client, incident: Incident) -> None:
    url = f"/api/v1/incidents/{incident.pk}/"
    comment = {"comment": "On my way."}
    answer = desk.post(f"{url}acknowledge/", comment, content_type="application/json").json()
    assert answer["state"] == "acknowledged" and answer["acknowledged_by"] == "olga"
    assert [entry["what"] for entry in answer["entries"]] == ["opened", "acknowledged"]
    listed = desk.get("/api/v1/incidents/", {"state": "acknowledged"}).json()
    assert [row["id"] for row in listed["results"]] == [incident.pk]
    summary = desk.get("/api/v1/summary/").json()
    assert (summary["incidents_open"], summary["incidents_new"]) == (1, 0)


def test_messages_name_the_page_where_the_address_is_known(
    settings: Any, incident: Incident
) -> None:
    settings.PUBLIC_URL = "https://rollcall.example"
    rule = AlertRule.objects.create(name="all")
    rule.channels.add(make_channel())
    looking.look(timezone.now() + timedelta(seconds=4))
    (waiting,) = queue.claim(Channel.objects.get().pk, timezone.now() + timedelta(seconds=5))
    assert f"https://rollcall.example/incidents/{incident.pk}/" in waiting.message["text"]


KINDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "syslog",
        {"host": "log.example", "port": "6514", "transport": "tls", "facility": "local4"},
        {"host": "log.example", "port": 6514, "transport": "tls", "facility": "local4"},
    ),
    (
        "webhook",
        {"url": "https://hook.example/in?key=1", "follows": ["jobs"]},
        {"url": "https://hook.example/in?key=1", "follows": ["jobs"]},
    ),
    ("chat", {"secret": "slack://TAAAAAAAA/BBBBBBBBB/cccccccccccccccccccccccc"}, {}),
]


@pytest.mark.parametrize(("kind", "given", "kept"), KINDS)
def test_each_kind_of_channel_is_made_and_changed_by_its_form(
    desk: Client, kind: str, given: dict[str, Any], kept: dict[str, Any]
) -> None:
    own = {"name": "it", "is_on": "on"}
    page = desk.post(reverse("channel_new", args=[kind]), own | given, follow=True)
    channel = Channel.objects.get()
    assert (channel.kind, channel.settings, channel.made_by) == (kind, kept, "olga")
    shown_once = page.content.decode()
    assert ("whsec_" in shown_once) is (kind == "webhook")
    secret = channel.secret
    again = desk.get(reverse("channel_edit", args=[channel.pk])).content.decode()
    assert not secret or secret not in again
    unsaid = {name: value for name, value in given.items() if name != "secret"}
    desk.post(reverse("channel_edit", args=[channel.pk]), own | unsaid | {"name": "that"})
    channel.refresh_from_db()
    assert (channel.name, channel.settings, channel.secret) == ("that", kept, secret)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("syslog", {"host": "", "port": "514", "transport": "udp", "facility": "local0"}),
        ("syslog", {"host": "a b", "port": "514", "transport": "udp", "facility": "local0"}),
        ("syslog", {"host": "a", "port": "514", "transport": "tls", "facility": "x"}),
        ("webhook", {"url": "ftp://hook.example"}),
        ("webhook", {"url": "https://name:" + "word@hook.example"}),
        ("webhook", {"url": "https://hook.example", "ca": "no certificate"}),
        ("webhook", {"url": "http://169.254.169.254/x"}),
        ("webhook", {"url": "http://[fe80::1]/x"}),
        ("syslog", {"host": "0.0.0.0", "port": "514", "transport": "udp", "facility": "local0"}),
        ("chat", {"secret": ""}),
        ("chat", {"secret": "nonsense"}),
        ("chat", {"secret": "json://hook.example"}),
    ],
)
def test_a_channel_that_could_send_nothing_is_refused(
    desk: Client, kind: str, given: dict[str, str]
) -> None:
    answer = desk.post(reverse("channel_new", args=[kind]), {"name": "it"} | given)
    assert answer.status_code == 422 and not Channel.objects.exists()


def test_the_api_makes_a_webhooks_secret_and_tells_it_in_that_answer_alone(desk: Client) -> None:
    body = {"name": "hook", "kind": "webhook", "settings": {"url": "https://hook.example"}}
    made = desk.post("/api/v1/channels/", body, content_type="application/json").json()
    assert made["secret"] == Channel.objects.get().secret
    url = f"/api/v1/channels/{made['id']}/"
    assert "secret" not in desk.get(url).json()
    refused = desk.patch(url, {"kind": "email"}, content_type="application/json")
    assert refused.status_code == 400 and "stays what it is" in refused.content.decode()
    wrong = desk.patch(url, {"settings": {"url": "x"}}, content_type="application/json")
    assert wrong.status_code == 400 and "settings" in wrong.json()
    secret = Channel.objects.get().secret
    for blank in ("", "  "):
        kept = desk.patch(url, {"secret": blank}, content_type="application/json")
        assert kept.status_code == 200 and Channel.objects.get().secret == secret
    aimed = {"settings": {"url": "http://169.254.169.254/x"}}
    never = desk.patch(url, aimed, content_type="application/json")
    assert never.status_code == 400 and "metadata" in never.json()["settings"][0]


@pytest.mark.parametrize(
    "path",
    [
        *("alert-rules", "channels", "maintenance", "quiet-hours", "drains", "drills"),
        *("views", "exports", "tokens", "wallboards", "handsets/bulk"),
        *("imports", "registrations/resume", "registrations/change", "notification-addresses"),
    ],
)
def test_no_order_has_a_field_that_is_not_there(client: Client, path: str) -> None:
    client.force_login(make_user("ada", Role.ADMIN))
    given = {"name": "x5", "bogus": 1}
    answer = client.post(f"/api/v1/{path}/", given, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["bogus"] == ["There is no such field."]


def test_what_is_over_leads_to_what_became_of_it_and_not_to_who_is_there_now(
    desk: Client, incident: Incident
) -> None:
    assert "Its handsets now" in words(desk, "incident", incident.pk)
    later = timezone.now() + timedelta(minutes=1)
    ServerHealth.objects.update(condition="up")
    looking.look(later)
    looking.look(later + timedelta(minutes=2))
    page = words(desk, "incident", incident.pk)
    assert "Its handsets now" not in page and "What became of them" in page
    assert "did not answer for 11 min: it held no handset." in page


def test_a_drills_incident_leads_to_the_drill_and_a_handsets_to_the_handset(desk: Client) -> None:
    row, now = make_registration(make_group(), "unregistered"), timezone.now()
    for cause in ("drill:7", f"handset:{row.pk}", "beat_silent:", "proof_lost:x"):
        kind = cause.partition(":")[0]
        of = {"registration": row} if kind == "handset" else {"server": row.group.servers.first()}
        when = {"opened_at": now, "detected_at": now, "severity": "warning"}
        Incident.objects.create(kind=kind, cause=cause, **when, **of)
    links = {
        "drill": f'href="{reverse("drill", args=[7])}"',
        "handset": f'href="{reverse("handset", args=[row.line.handset_id])}"',
        "beat_silent": f'{reverse("ops")}">',
        "proof_lost": "Who would be lost",
    }
    for kind, link in links.items():
        assert link in words(desk, "incident", Incident.objects.get(kind=kind).pk)
    Incident.objects.update(resolved_at=now)
    assert links["drill"] in words(desk, "incident", Incident.objects.get(kind="drill").pk)
    over = words(desk, "incident", Incident.objects.get(kind="proof_lost").pk)
    assert links["proof_lost"] not in over
