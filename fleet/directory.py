"""An LDAP directory, asked: who somebody is there, if the password is theirs, and what they may.

A password is tried by binding as its owner. Names are looked for as they are typed and nothing in
them has a meaning of its own, neither in a filter nor in a distinguished name.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from uuid import UUID

import ldap3
import structlog
from django.conf import settings
from ldap3.core.exceptions import LDAPException, LDAPInvalidCredentialsResult
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn, parse_dn

from fleet.roles import Role

SECONDS = 5
"""For so long it may be silent."""

IDS = ("entryUUID", "objectGUID", "nsUniqueId")
"""What says who an entry is, whatever it is called: OpenLDAP's, Active Directory's, 389's."""

log = structlog.get_logger(__name__)


class Away(Exception):
    """It cannot be asked; the text says why, and has no password in it."""


class Person(NamedTuple):
    """Who it is, by what stays the same, and as it is called there, in lower case."""

    subject: str
    name: str
    role: Role | None


def find(name: str, password: str) -> Person | None:
    """Return who has this name, in lower case, and this password there. Raises Away."""
    # A bind with an empty password succeeds for anybody (RFC 4513 5.1.2), and proves nothing.
    if not name or not password:
        return None
    own = settings.LDAP.user_dn.replace("{user}", escape_rdn(name))
    try:
        if own:
            return _found(name, password, own, password)
        return _found(name, password, settings.LDAP.bind_dn, settings.LDAP.bind_password)
    except LDAPInvalidCredentialsResult:
        if own:
            return None
        raise Away("it refuses LDAP_BIND_DN with LDAP_BIND_PASSWORD") from None
    except (LDAPException, OSError) as error:
        raise Away(str(error)) from None


def _found(name: str, password: str, asker: str, asker_password: str) -> Person | None:
    with _bound(asker, asker_password) as directory:
        entry = _entry(directory, name)
        if entry is None or not _is_theirs(entry["dn"], password):
            return None
        groups = {_plain(group) for group in _groups(directory, entry, name)}
    roles = [Role[word.upper()] for group, word in settings.LDAP.roles if _plain(group) in groups]
    return Person(_subject(entry), name, max(roles, default=None))


@contextmanager
def _bound(dn: str, password: str) -> Iterator[Any]:
    about = settings.LDAP
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=about.ca_file or None)
    server = ldap3.Server(about.url, tls=tls, connect_timeout=SECONDS, get_info=ldap3.NONE)
    connection = ldap3.Connection(
        server,
        dn,
        # As bytes, as it is: prepared by RFC 4013, a soft hyphen alone would be an empty one.
        password.encode(),
        receive_timeout=SECONDS,
        # A referral would take the password to wherever the answer says.
        auto_referrals=False,
        read_only=True,
        raise_exceptions=True,
    )
    try:
        connection.open()
        if about.starttls and not server.ssl:
            connection.start_tls()
        connection.bind()
        yield connection
    finally:
        # What went wrong before is what there is to say.
        with suppress(LDAPException):
            connection.unbind()


def _is_theirs(dn: str, password: str) -> bool:
    try:
        with _bound(dn, password):
            return True
    except LDAPInvalidCredentialsResult:
        return False


def _entry(directory: Any, name: str) -> Any:
    """The one entry that is called so to the letter.

    A directory takes `VERA` and `vera` for the same; who could type one name in many ways would
    have as many times the guesses before it is locked.
    """
    about = settings.LDAP
    wanted = f"(&{about.user_filter}({about.name_attribute}={escape_filter_chars(name)}))"
    directory.search(about.user_base, wanted, attributes=[about.name_attribute, "memberOf", *IDS])
    found = [
        entry
        for entry in _entries(directory)
        if name in {called.lower() for called in _values(entry, about.name_attribute)}
    ]
    if len(found) > 1:
        log.warning("several entries of the directory have one name", user=name)
    return found[0] if len(found) == 1 else None


def _groups(directory: Any, entry: Any, name: str) -> list[str]:
    about = settings.LDAP
    if not about.group_base:
        return _values(entry, "memberOf")
    wanted = about.group_filter
    for mark, value in (("{dn}", entry["dn"]), ("{user}", name)):
        wanted = wanted.replace(mark, escape_filter_chars(value))
    directory.search(about.group_base, wanted, attributes=[ldap3.NO_ATTRIBUTES])
    return [group["dn"] for group in _entries(directory)]


def _entries(directory: Any) -> list[Any]:
    return [each for each in directory.response if each["type"] == "searchResEntry"]


def _values(entry: Any, attribute: str) -> list[str]:
    return [value.decode() for value in entry["raw_attributes"].get(attribute, ())]


def _subject(entry: Any) -> str:
    for attribute in IDS:
        for value in entry["raw_attributes"].get(attribute, ()):
            return str(UUID(bytes_le=value)) if len(value) == 16 else value.decode().lower()
    return str(entry["dn"]).lower()


def _plain(dn: str) -> tuple[tuple[str, str], ...]:
    return tuple((kind.lower(), value.lower()) for kind, value, _ in parse_dn(dn, strip=True))
