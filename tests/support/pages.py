"""Every page of the product, and a fleet that shows all a page may have to say."""

from collections.abc import Iterator
from datetime import time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from fleet import import_orders
from fleet.models import DnsRecord
from fleet.roles import Role
from registrations import jobs, wallboards
from registrations.alerts import acknowledging, looking
from registrations.models import AlertRule, Channel, Incident, MaintenanceWindow, State
from tests.registrations import live_fleet
from tests.support import rows

PAGES: dict[str, tuple[Any, ...]] = {
    "overview": (),
    "handsets": (),
    "resume_many": (),
    "handset": ("handset",),
    "groups": (),
    "group": ("group",),
    "server": ("server",),
    "group_new": (),
    "group_edit": ("group",),
    "server_new": ("group",),
    "server_edit": ("server",),
    "delete": ("kind", "server"),
    "sites": (),
    "site_new": (),
    "site_edit": ("site",),
    "handset_new": (),
    "bulk_edit": (),
    "handset_edit": ("handset",),
    "notifications": ("group",),
    "override": ("held",),
    "ops": (),
    "readiness": (),
    "proofs": (),
    "findings": (),
    "history": (),
    "incidents": (),
    "incident": ("incident",),
    "alerts": (),
    "limits": (),
    "limit_edit": ("incident_kind",),
    "rule_new": (),
    "rule_edit": ("rule",),
    "channel_new": ("channel_kind",),
    "channel_edit": ("channel",),
    "maintenance_new": (),
    "maintenance_edit": ("maintenance",),
    "deliveries": (),
    "jobs": (),
    "job": ("job",),
    "job_new": (),
    "drain_new": (),
    "drill_new": (),
    "drill": ("drill",),
    "hours_new": (),
    "between": (),
    "reports": (),
    "exports": (),
    "imports": (),
    "import_job": ("import",),
    "wallboard": (),
    "wallboard_of_token": ("key",),
    "wallboard_tokens": (),
    "times": (),
    "tokens": (),
    "audit": (),
    "password": (),
    "users": (),
    "user_sites": ("user",),
    "start_site": (),
    "start_group": (),
    "start_handsets": (),
    "start_people": (),
    "start_go": (),
}
"""By URL name: whose ids its address takes, as `make_fleet` names them."""

ASKED = {"drain_new": "server", "bulk_edit": "match"}
"""Whose id stands in the query string, under the same name."""

PAST = ("overview", "handsets", "handset", "group")
"""Pages that also show what was, with `at`."""

NO_PAGES = {
    "login": "for those who are not logged in",
    "moves": "a part of the overview, asked for again and again",
    "handset_by_mac": "sends on to the handset",
    "resume": "only takes a POST",
    "handset_places": "JSON",
    "handset_choices": "a part of the list's menus",
    "handset_columns": "only takes a POST",
    "view_create": "only takes a POST",
    "view_change": "only takes a POST",
    "view_replace": "only takes a POST",
    "view_delete": "only takes a POST",
    "server_order": "only takes a POST",
    "incidents_open": "a part of the overview, asked for again when it changes",
    "incident_acknowledge": "only takes a POST",
    "channel_test": "only takes a POST",
    "alert_delete": "only takes a POST",
    "delivery_again": "only takes a POST",
    "job_cancel": "only takes a POST",
    "job_pause": "only takes a POST",
    "job_resume": "only takes a POST",
    "job_roll_back": "only takes a POST",
    "drain_end": "only takes a POST",
    "drill_end": "only takes a POST",
    "drill_evidence": "a file",
    "hours_delete": "only takes a POST",
    "import_columns": "a file",
    "fleet_file": "a file",
    "fleet_file_with_passwords": "only takes a POST",
    "group_site_cfg": "a file",
    "notification_files": "a file",
    "notification_make": "only takes a POST",
    "notification_renew": "only takes a POST",
    "notify": "for handsets, which know its key",
    "import_faults": "a file",
    "import_go": "only takes a POST",
    "import_delete": "only takes a POST",
    "export_new": "only takes a POST",
    "export_file": "a file",
    "export_delete": "only takes a POST",
    "demo_server": "only takes a POST",
    "wallboard_revoke": "only takes a POST",
    "token_revoke": "only takes a POST",
    "audit_file": "a file",
    "sign_out_everywhere": "only takes a POST",
    "user_role": "only takes a POST",
    "user_reset": "only takes a POST",
    "user_active": "only takes a POST",
    "user_end_sessions": "only takes a POST",
    "start": "sends on to the first step that is left",
    "start_sample": "a file",
    "start_sample_demo": "only takes a POST",
    "oidc": "sends on to the identity provider",
    "oidc_return": "sends on to the page that was asked for",
    "logout": "only takes a POST",
    "healthz": "JSON",
    "readyz": "JSON",
    "metrics": "text for Prometheus",
}


def make_fleet(handsets: int = 3) -> dict[str, Any]:
    """Make rows in every state, a silent server and a job; return the ids that addresses take."""
    fleet = live_fleet.make(handsets, first=0x900001)
    live_fleet.move(fleet.rows[1], fleet.secondary)
    live_fleet.silence(fleet.primary, fleet.site)
    record = {"kind": "A", "name": "pbx.example", "address": "192.0.2.10"}
    DnsRecord.objects.create(group=fleet.group, **record)
    clinic = rows.make_group("clinic", mode="fallback")
    made = {state: rows.make_registration(clinic, state) for state in State if state != "unknown"}
    for row in fleet.rows:
        rows.make_proof(row, 1, "proved")
        rows.make_proof(row, 2, "refused" if row == fleet.rows[0] else "open")
    rows.make_reports(fleet.rows[1].line.handset)
    table = b"mac,extension,domain,group,site,supervision\n00907a0000f1,1,a.example,no,main,off\n"
    imported = import_orders.order([("handsets.csv", table)], by="admin")
    import_orders.make(imported.pk)
    job = jobs.order({"registrations": [fleet.rows[1].pk]}, "admin")
    drill = jobs.drill({"registrations": [made["primary"].pk]}, jobs.Exercise(5), "admin")
    jobs.end_drill(drill, "admin")
    jobs.advance_all()
    return {
        "drill": drill.pk,
        "handset": fleet.rows[1].line.handset_id,
        "group": fleet.group.pk,
        "server": fleet.primary.pk,
        "kind": "server",
        "match": "",
        "site": fleet.site.pk,
        "held": made[State.HELD].pk,
        "job": job.pk,
        "import": imported.pk,
        "channel_kind": "email",
        "incident_kind": "flapping",
        "user": rows.make_user("vera", Role.VIEWER).pk,
        **make_incident(fleet),
        "key": wallboards.make("lobby", [], [], by="admin"),
    }


def make_incident(fleet: Any) -> dict[str, Any]:
    """Make the incident of the silent server, somebody to be told of it, and a maintenance."""
    to = {"to": ["night@hospital.example"]}
    channel = Channel.objects.create(name="Night shift", kind="email", settings=to)
    rule = AlertRule.objects.create(name="All", after_s=60, repeat_s=600)
    rule.channels.add(channel)
    window = MaintenanceWindow.objects.create(
        name="Patches", days="3", begins=time(2), ends=time(4), time_zone="America/Denver"
    )
    window.servers.add(fleet.secondary)
    now = timezone.now()
    for seconds in (0, 30, 120):
        looking.look(now + timedelta(seconds=seconds))
    incident = Incident.objects.get(kind=Incident.Kind.SERVER_SILENT, resolved_at=None)
    acknowledging.acknowledge(incident.pk, "olga", "The switch is being replaced.", now)
    return {
        "incident": incident.pk,
        "rule": rule.pk,
        "channel": channel.pk,
        "maintenance": window.pk,
    }


def address(name: str, ids: dict[str, Any]) -> str:
    asked = ASKED.get(name)
    query = f"?{asked}={ids[asked]}" if asked else ""
    return reverse(name, args=[ids[key] for key in PAGES[name]]) + query


def addresses(ids: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, address(name, ids)) for name in PAGES]


def addresses_then(ids: dict[str, Any]) -> list[tuple[str, str]]:
    """The pages of what was, as they were a second ago."""
    at = urlencode({"at": (timezone.now() - timedelta(seconds=1)).isoformat()})
    return [(f"{name} then", f"{address(name, ids)}?{at}") for name in PAST]


def names_of(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    """The names of all addresses but the API's and Django's admin's."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern.name or str(pattern.pattern)
        elif not str(pattern.pattern).startswith(("api/", "admin/")):
            yield from names_of(pattern.url_patterns)


def known_addresses() -> set[str]:
    return set(names_of(get_resolver().url_patterns))
