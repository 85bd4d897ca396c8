"""The demo's fleet: 200 handsets of three sites, a failover group and a fallback group."""

import secrets
import socket
from contextlib import closing

from django.db import transaction

from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.signals import fleet_changed

PRIMARY, STANDBY = "127.0.0.2", "127.0.0.3"
PORTS = range(5070, 5170, 2)
"""The first of these that is free on both addresses; never SIP's own."""
REALM = "demo.rollcall.example"
WARDS, CLINIC = "Demo wards", "Demo clinic"
GROUPS = (WARDS, CLINIC)
MODELS = ("8440", "8441", "8452", "8453")
FIRST_EXTENSION = 4001
FIRST_MAC = 0x00907AD00001

POLICY = {
    "expires": 20,
    "expires_overlap": 5,
    "register_retry_base": 10,
    "register_retry_max": 60,
    "re_register_on": True,
    "fail_back_mode": ServerGroup.FailBackMode.REGISTRATION,
    "max_registrations_per_second": 100,
}

PLACES = {
    "st-anna-hospital": (
        *("Emergency", "Intensive care", "Surgery", "Cardiology", "Oncology", "Neurology"),
        *("Maternity", "Radiology", "Ward 1 North", "Ward 1 South", "Ward 2 North"),
    ),
    "childrens-hospital": ("Neonatal care", "Paediatrics", "Day surgery", "Ward 3 East"),
    "riverside-clinic": ("Reception", "Outpatients", "Dialysis", "Laboratory", "Pharmacy"),
}
"""Departments by site; each has ten handsets."""
ZONES = {
    "st-anna-hospital": "America/Denver",
    "childrens-hospital": "America/Denver",
    "riverside-clinic": "America/Los_Angeles",
}
ROLES = (
    *("charge nurse", "nurse 1", "nurse 2", "nurse 3", "nurse 4"),
    *("physician", "physician on call", "assistant", "technician", "transport"),
)


def is_here() -> bool:
    """Whether the fleet has the demo's groups."""
    return Server.objects.filter(group__name__in=GROUPS).exists()


def is_empty() -> bool:
    """Whether nobody has put a fleet in yet."""
    return not (ServerGroup.objects.exists() or Handset.objects.exists())


def places() -> list[tuple[str, int]]:
    """Where the demo's registrars listen: (address, port), primary first."""
    rows = Server.objects.filter(group__name__in=GROUPS).order_by("priority", "pk")
    return list(dict.fromkeys(rows.values_list("address", "port")))


def free_port() -> int | None:
    """A UDP port that is free on both addresses; None where there is none."""
    return next(
        (port for port in PORTS if _is_free(PRIMARY, port) and _is_free(STANDBY, port)), None
    )


def _is_free(address: str, port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


@transaction.atomic
def make(port: int) -> None:
    """Make it, and let its registrations begin."""
    wards = _group(WARDS, ServerGroup.Mode.FAILOVER, port, ("PBX A", "PBX B"), [])
    lost = ["voicemail", "presence"]
    names = ("PBX A", "Branch gateway")
    clinic = _group(CLINIC, ServerGroup.Mode.FALLBACK, port, names, lost)
    handsets: list[Handset] = []
    for name, departments in PLACES.items():
        site, _ = Site.objects.get_or_create(name=name, defaults={"time_zone": ZONES[name]})
        group = clinic if name == "riverside-clinic" else wards
        for department in departments:
            handsets += _department(department, site, group, len(handsets))
    Handset.objects.bulk_create(handsets)
    lines = Line.objects.bulk_create(
        _line(handset, FIRST_EXTENSION + number) for number, handset in enumerate(handsets)
    )
    fleet_changed.send(sender=Line, line_ids=[line.pk for line in lines])


def _group(
    name: str, mode: str, port: int, servers: tuple[str, str], lost: list[str]
) -> ServerGroup:
    group = ServerGroup.objects.create(name=name, mode=mode, **_policy(mode))
    for priority, (address, server) in enumerate(zip((PRIMARY, STANDBY), servers, strict=True), 1):
        Server.objects.create(
            group=group,
            priority=priority,
            name=server,
            address=address,
            port=port,
            lost_features=lost if priority > 1 else [],
        )
    return group


def _policy(mode: str) -> dict[str, object]:
    """`re_register_on` is a failover group's alone: a fallback entry holds its own binding."""
    if mode == ServerGroup.Mode.FAILOVER:
        return dict(POLICY)
    return {name: value for name, value in POLICY.items() if name != "re_register_on"}


def _department(name: str, site: Site, group: ServerGroup, first: int) -> list[Handset]:
    return [
        Handset(
            mac=f"{FIRST_MAC + first + number:012x}",
            name=f"{name}, {role}",
            model=MODELS[(first + number) % len(MODELS)],
            group=group,
            site=site,
            tags=[name.lower().replace(" ", "-")],
        )
        for number, role in enumerate(ROLES)
    ]


def _line(handset: Handset, extension: int) -> Line:
    return Line(
        handset=handset,
        extension=str(extension),
        domain=REALM,
        auth_user=str(extension),
        auth_password=secrets.token_urlsafe(12),
        supervision=Line.Supervision.REGISTER,
    )
