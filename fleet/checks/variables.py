"""The environment judged by itself: what contradicts itself, and what is not fit for production."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

Check = Callable[..., Iterable[CheckMessage]]

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


def _on_sqlite() -> bool:
    return str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite")


def workers_on_sqlite(**_: Any) -> Iterable[CheckMessage]:
    """One process works on SQLite, on one machine."""
    if not _on_sqlite():
        return
    if settings.WORKERS > 1:
        yield Warning(
            f"WORKERS is {settings.WORKERS}, but one worker runs: SQLite is for one.",
            hint="Set DATABASE_URL to a PostgreSQL for more ('manage.py move_from' moves there).",
            id="rollcall.W001",
        )
    parts = urlsplit(settings.REDIS_URL)
    if parts.scheme in {"redis", "rediss"} and parts.hostname not in LOCAL_NAMES:
        yield Warning(
            f"REDIS_URL names another machine ({parts.hostname}), but the database is a file on "
            "this one: workers elsewhere would not see it.",
            hint="Set DATABASE_URL to a PostgreSQL for all machines, or leave REDIS_URL out.",
            id="rollcall.W002",
        )


def hosts(**_: Any) -> Iterable[CheckMessage]:
    """The names browsers come by must be told."""
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS is '*': whoever points a name of their own here may have people's "
            "browsers read it.",
            hint="Name the hosts, comma-separated: ALLOWED_HOSTS=rollcall.hospital.example.",
            id="rollcall.W009",
        )
    if settings.BEHIND_TLS and set(settings.ALLOWED_HOSTS) <= LOCAL_NAMES:
        yield Warning(
            "BEHIND_TLS is set, but ALLOWED_HOSTS names this machine alone: under any other name "
            "pages, forms and live sockets are refused.",
            hint="Set ALLOWED_HOSTS to the name in people's browsers, and let the proxy pass Host "
            "and X-Forwarded-Proto on.",
            id="rollcall.W014",
        )


def contact(**_: Any) -> Iterable[CheckMessage]:
    """A Contact nobody can call."""
    host, _colon, port = settings.SIP_CONTACT.rpartition(":")
    address = _address(host)
    if address is not None and (address.is_unspecified or address.is_multicast):
        yield Error(
            f"SIP_CONTACT is {settings.SIP_CONTACT}: no registrar can send anything there.",
            hint="Set it to the address of this machine that registrars reach, with the port.",
            id="rollcall.E003",
        )
    if port == "5060":
        yield Warning(
            "SIP_CONTACT names port 5060, which whoever scans a network for SIP tries first.",
            hint="Choose another port, such as 9000.",
            id="rollcall.W003",
        )


def fit_for_production(**_: Any) -> Iterable[CheckMessage]:
    """What is good enough for a look, and not for a hospital."""
    if not settings.BEHIND_TLS:
        yield Warning(
            "BEHIND_TLS is off: passwords and sessions cross the network as they are.",
            hint="Put a TLS-terminating proxy before the web server and set BEHIND_TLS=1.",
            id="rollcall.W004",
        )
    if _on_sqlite():
        yield Warning(
            "The database is SQLite: one machine, one worker.",
            hint="Set DATABASE_URL to a PostgreSQL.",
            id="rollcall.W005",
        )
    if settings.DEMO:
        yield Warning(
            "DEMO is on: an empty database gets a made-up fleet.",
            hint="Set DEMO=0, or leave it out.",
            id="rollcall.W006",
        )
    yield from _reachable_contact()


def _reachable_contact() -> Iterable[CheckMessage]:
    host = settings.SIP_CONTACT.rpartition(":")[0]
    address = _address(host)
    if not host:
        yield Warning(
            "SIP_CONTACT is not set: registrars are told each worker's own address, which in a "
            "container nobody else has.",
            hint="Set it to HOST:PORT of the answerer, as registrars reach it.",
            id="rollcall.W007",
        )
    elif host == "localhost" or (address and (address.is_loopback or address.is_link_local)):
        yield Warning(
            f"SIP_CONTACT is {settings.SIP_CONTACT}: only this machine reaches that.",
            hint="Set it to HOST:PORT of the answerer, as registrars reach it.",
            id="rollcall.W008",
        )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


ALWAYS: tuple[Check, ...] = (workers_on_sqlite, hosts, contact)
IN_PRODUCTION: tuple[Check, ...] = (fit_for_production,)
