"""A real LDAP directory under the test's hand: slapd on loopback, with people and groups."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap3

from fleet.config.directory import Directory
from tests.support import parts
from tests.support.certificates import Authority
from tests.support.processes import Child, free_port
from tests.support.waiting import wait_until

BASE = "dc=clinic,dc=test"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
MANAGER, SERVICE = f"cn=manager,{BASE}", f"cn=rollcall,{BASE}"
PASSWORD = "of-the-directory-7"
"""Everybody's there."""

_CONFIG = f"""
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile HOME/slapd.pid
TLSCertificateFile HOME/server.pem
TLSCertificateKeyFile HOME/server.key
access to attrs=userPassword by anonymous auth by * none
access to * by users read
database mdb
suffix {BASE}
rootdn {MANAGER}
rootpw {PASSWORD}
directory HOME/data
maxsize 10485760
overlay memberof
memberof-refint TRUE
"""


class Slapd:
    """It has the groups `watchers` and `keepers`. No group may be empty: its manager is in both."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.ports = free_port(), free_port()
        authority = Authority()
        authority.issue("localhost").written(home)
        self.ca_file = home / "ca.pem"
        self.ca_file.write_text(authority.certificate)
        (home / "data").mkdir()
        (home / "slapd.conf").write_text(_CONFIG.replace("HOME", str(home)))
        self._child: Child | None = None

    @property
    def plain(self) -> str:
        """Its address for StartTLS, or for none."""
        return f"ldap://localhost:{self.ports[0]}"

    @property
    def tls(self) -> str:
        return f"ldaps://localhost:{self.ports[1]}"

    def settings(self, **other: Any) -> Directory:
        """What Rollcall has to know of it: the service account, groups by `memberOf`."""
        usual: dict[str, Any] = {
            "url": self.plain,
            "ca_file": str(self.ca_file),
            "bind_dn": SERVICE,
            "bind_password": PASSWORD,
            "user_base": PEOPLE,
            "user_filter": "(objectClass=person)",
            "name_attribute": "uid",
            "group_filter": "(member={dn})",
            "roles": (
                (f"cn=watchers,{GROUPS}", "viewer"),
                (f"CN=Keepers, OU=groups, {BASE}", "configurer"),
            ),
        }
        return Directory(**{**usual, **other})

    def start(self) -> None:
        places = f"ldap://127.0.0.1:{self.ports[0]}/ ldaps://127.0.0.1:{self.ports[1]}/"
        command = [parts.need("slapd"), "-f", str(self._home / "slapd.conf"), "-h", places]
        self._child = Child("slapd", [*command, "-d", "stats"], self._home / "slapd.log")
        wait_until(self._answers, 30, "slapd answers", every=0.05)

    def fill(self) -> None:
        with self._managed() as to:
            to.add(BASE, ["dcObject", "organization"], {"o": "clinic"})
            for unit in (PEOPLE, GROUPS):
                to.add(unit, "organizationalUnit")
            account = ["organizationalRole", "simpleSecurityObject"]
            to.add(SERVICE, account, {"userPassword": PASSWORD})
            for group in ("watchers", "keepers"):
                to.add(f"cn={group},{GROUPS}", "groupOfNames", {"member": MANAGER})

    def person(self, name: str, *groups: str, entry: str = "") -> None:
        """Put somebody in, and into these groups; their entry is called by `entry` or the name."""
        dn = f"cn={entry or name},{PEOPLE}"
        with self._managed() as to:
            about = {"uid": name, "sn": name, "userPassword": PASSWORD}
            to.add(dn, "inetOrgPerson", about)
            for group in groups:
                to.modify(f"cn={group},{GROUPS}", {"member": [(ldap3.MODIFY_ADD, [dn])]})

    def leave(self, name: str, group: str) -> None:
        dn = f"cn={name},{PEOPLE}"
        with self._managed() as to:
            to.modify(f"cn={group},{GROUPS}", {"member": [(ldap3.MODIFY_DELETE, [dn])]})

    def empty(self) -> None:
        """Nobody is left."""
        with self._managed() as to:
            to.search(PEOPLE, "(objectClass=person)", attributes=[ldap3.NO_ATTRIBUTES])
            for each in to.response:
                to.delete(each["dn"])

    def freeze(self) -> None:
        """It takes connections from now on and says nothing, as a machine that hangs."""
        assert self._child is not None
        self._child.signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._child is not None
        self._child.signal_group(signal.SIGCONT)

    def heard(self) -> str:
        """All that it was asked, as it logs it."""
        return (self._home / "slapd.log").read_text(errors="replace")

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    @contextmanager
    def _managed(self) -> Iterator[Any]:
        server = ldap3.Server(self.plain, get_info=ldap3.NONE)
        with ldap3.Connection(server, MANAGER, PASSWORD, raise_exceptions=True) as connection:
            yield connection

    def _answers(self) -> bool:
        try:
            with self._managed():
                return True
        except ldap3.core.exceptions.LDAPException:
            return False


@contextmanager
def slapd() -> Iterator[Slapd]:
    """One that runs, with nobody in it."""
    parts.need("slapd")
    with tempfile.TemporaryDirectory(prefix="rollcall-slapd-") as home:
        made = Slapd(Path(home))
        try:
            made.start()
            made.fill()
            yield made
        finally:
            made.stop()
