"""Reads LDAP_URL and what belongs to it: the directory by which people may log in."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fleet.config import env

USER = "{user}"
"""Stands for who logs in, in LDAP_USER_DN and LDAP_GROUP_FILTER; `{dn}` there for their entry."""


@dataclass(frozen=True)
class Directory:
    """Where people are kept, and how they are found there; without one its url is ''."""

    url: str = ""
    starttls: bool = True
    ca_file: str = ""
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    user_dn: str = ""
    user_base: str = ""
    user_filter: str = ""
    name_attribute: str = ""
    group_base: str = ""
    group_filter: str = ""
    roles: tuple[tuple[str, str], ...] = ()
    """Groups' distinguished names, each with the role it gives."""


def directory() -> Directory:
    """The directory that the environment names. It is asked under TLS unless told otherwise."""
    url = env.text("LDAP_URL")
    needed = {name: env.text(name) for name in ("LDAP_USER_BASE", "LDAP_ROLES")}
    for name, value in needed.items():
        if bool(value) != bool(url):
            env.refuse(f"{name} and LDAP_URL must both be set, or neither.")
    if not url:
        return Directory()
    return Directory(
        _address(url),
        env.flag("LDAP_STARTTLS", True),
        # Looked for when it is needed: only the web process has to have it.
        env.text("LDAP_CA_FILE"),
        *_asker(),
        needed["LDAP_USER_BASE"],
        _filter("LDAP_USER_FILTER", "(objectClass=person)"),
        env.text("LDAP_NAME_ATTRIBUTE", "uid"),
        env.text("LDAP_GROUP_BASE"),
        _filter("LDAP_GROUP_FILTER", "(member={dn})"),
        _roles(),
    )


def _address(url: str) -> str:
    must = "LDAP_URL must be ldaps://HOST or ldap://HOST, with :PORT or without, and no more."
    url = url.rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        env.refuse(must)
    whole = f"{parts.scheme}://{parts.netloc}"
    # What stands before an @ would be a password, which is told nobody.
    if not parts.hostname or port == 0 or "@" in url or url.lower() != whole.lower():
        env.refuse(must)
    if parts.scheme not in {"ldap", "ldaps"}:
        env.refuse(must)
    return url


def _asker() -> tuple[str, str, str]:
    """Who asks: a service account, or each user themselves by a name made of what they typed."""
    bind_dn, password = env.text("LDAP_BIND_DN"), env.text("LDAP_BIND_PASSWORD")
    user_dn = env.text("LDAP_USER_DN")
    # A bind with a name and no password succeeds, as nobody.
    if bool(bind_dn) != bool(password):
        env.refuse("LDAP_BIND_DN and LDAP_BIND_PASSWORD must both be set, or neither.")
    if bool(bind_dn) == bool(user_dn):
        env.refuse("LDAP_BIND_DN or LDAP_USER_DN must be set, and not both.")
    if user_dn and USER not in user_dn:
        env.refuse(f"LDAP_USER_DN must have {USER} in it, where the user name stands.")
    return bind_dn, password, user_dn


def _filter(name: str, default: str) -> str:
    given = env.text(name, default)
    if not (given.startswith("(") and given.endswith(")")):
        env.refuse(f"{name} must be an LDAP filter such as {default}, not {given!r}.")
    return given


def _roles() -> tuple[tuple[str, str], ...]:
    roles = env.roles("LDAP_ROLES", ";")
    for group, _ in roles:
        if "=" not in group:
            env.refuse(
                "LDAP_ROLES must name groups as cn=NAME,ou=GROUPS,dc=EXAMPLE=ROLE, separated by "
                f"semicolons, not {group!r}."
            )
    return roles
