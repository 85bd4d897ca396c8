"""What is wrong with the settings and the secret of a channel, by their names, for each kind."""

import base64
import secrets
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from fleet import allowed
from fleet.formats import certificates
from registrations.alerts import following, reporting
from registrations.alerts.channels import chat, syslog, webhook
from registrations.models import Channel

MOST_RECIPIENTS = 50
LONGEST = 2000
LARGEST_PORT = 65535

Settings = Mapping[str, Any]
Faults = dict[str, str]


def faults(kind: str, settings: Settings, secret: str) -> Faults:
    """Return a sentence for each setting that is wrong, and for `secret`."""
    known, check = CHECKS[kind]
    strange = {name: f"There is no setting {name}." for name in settings if name not in known}
    return strange | check(settings, secret)


def new_secret() -> str:
    """Return a key for a webhook, as Standard Webhooks writes it."""
    return webhook.SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def email(settings: Settings, _secret: str) -> Faults:
    to = settings.get("to")
    if not isinstance(to, list) or not to:
        return {"to": "Give a list of mail addresses as `to`."}
    if len(to) > MOST_RECIPIENTS:
        return {"to": f"{MOST_RECIPIENTS} addresses at most; use a list for more."}
    for address in to:
        try:
            validate_email(address)
        except ValidationError:
            return {"to": f"{address} is no mail address."}
    return _reports(settings)


def _reports(settings: Settings) -> Faults:
    wrong = {}
    reports = settings.get("reports", [])
    if not isinstance(reports, list) or not all(each in reporting.SPANS for each in reports):
        wrong["reports"] = f"`reports` is a list of {' and '.join(reporting.SPANS)}, or empty."
    if not _is_hour(settings.get("report_at", reporting.USUAL_HOUR)):
        wrong["report_at"] = "Give an hour such as 07:00 as `report_at`."
    zone = settings.get("time_zone", "UTC")
    if zone not in available_timezones():
        wrong["time_zone"] = f"There is no time zone {zone!r}."
    return wrong


def _is_hour(given: object) -> bool:
    try:
        return isinstance(given, str) and time.fromisoformat(given).tzinfo is None
    except ValueError:
        return False


def syslog_receiver(settings: Settings, _secret: str) -> Faults:
    wrong = _authority(settings)
    host, port = settings.get("host"), settings.get("port")
    if not isinstance(host, str) or not host or len(host) > 253 or set(host) & set(" /@"):
        wrong["host"] = "Give the name or address of the receiver as `host`."
    elif why := allowed.outside_refusal(host):
        wrong["host"] = why
    if type(port) is not int or not 0 < port <= LARGEST_PORT:
        wrong["port"] = f"Give a `port` from 1 to {LARGEST_PORT}."
    if settings.get("transport") not in syslog.TRANSPORTS:
        wrong["transport"] = f"Give one `transport` of {', '.join(syslog.TRANSPORTS)}."
    if settings.get("facility", syslog.USUAL_FACILITY) not in syslog.FACILITIES:
        wrong["facility"] = f"Give one `facility` of {', '.join(syslog.FACILITIES)}."
    return wrong


def webhook_receiver(settings: Settings, secret: str) -> Faults:
    wrong = _authority(settings)
    if not _is_web(settings.get("url")):
        wrong["url"] = "Give the `url`: https:// or http://, a host, and no name or password."
    elif why := allowed.outside_refusal(urlsplit(str(settings["url"])).hostname or ""):
        wrong["url"] = why
    follows = settings.get("follows", [])
    if not isinstance(follows, list) or not all(each in following.FOLLOWED for each in follows):
        wrong["follows"] = f"`follows` is a list of {' and '.join(following.FOLLOWED)}, or empty."
    return wrong | _read("secret", webhook.key_of, secret)


def _is_web(url: object) -> bool:
    if not isinstance(url, str) or len(url) > LONGEST or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    return is_web and "@" not in parts.netloc and port != 0


def chat_services(_settings: Settings, secret: str) -> Faults:
    if not secret.split():
        return {"secret": "Give the services' URLs, one on each line."}
    if len(secret.split()) > MOST_RECIPIENTS:
        return {"secret": f"{MOST_RECIPIENTS} services at most."}
    return _read("secret", chat.services, secret)


def _authority(settings: Settings) -> Faults:
    return _read("ca", certificates.authority, str(settings.get("ca") or ""))


def _read(name: str, reader: Callable[[str], object], given: str) -> Faults:
    """Return what a reader finds wrong; nothing given is nothing wrong."""
    try:
        if given:
            reader(given)
    except ValueError as error:
        return {name: str(error)}
    return {}


CHECKS: Mapping[str, tuple[tuple[str, ...], Callable[[Settings, str], Faults]]] = {
    Channel.Kind.EMAIL: (("to", "reports", "report_at", "time_zone"), email),
    Channel.Kind.SYSLOG: (("host", "port", "transport", "facility", "ca"), syslog_receiver),
    Channel.Kind.WEBHOOK: (("url", "ca", "follows"), webhook_receiver),
    Channel.Kind.CHAT: ((), chat_services),
}
"""Of each kind: the names of its settings, and what judges them."""
