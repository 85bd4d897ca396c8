"""Backups: everything comes back on either database, or nothing does, and nobody is believed."""

import hashlib
import json
import re
import sqlite3
import stat
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from fleet import first_run, tokens
from fleet.models import DnsRecord, Line, Preference, Server, ServerGroup, Site
from fleet.roles import Role
from fleet.supervisor import lock
from registrations import backup, queries, store
from registrations.backup.snapshot import snapshot
from registrations.models import (
    Census,
    Drain,
    ExportJob,
    ExportPart,
    Job,
    JobResult,
    QuietHours,
    Registration,
    RenewalHour,
    SavedView,
    ServerAcceptance,
    ServerHealth,
    ServerPace,
    ServerPause,
    StandbyProof,
    State,
    Transition,
    WallboardToken,
)
from tests.registrations.backup.conftest import On
from tests.support.installation import Installation, by_model
from tests.support.rows import (
    make_group,
    make_line,
    make_registration,
    make_reports,
    make_server_change,
    make_site,
    make_token,
    make_transition,
    make_user,
)

ODD = 'tab\there, line\nthere, back\\slash, "quoted", \\N, \\.\n, Zürich 漢字 🏥'
"""What a format of lines and cells could trip over."""
NOW = datetime(2026, 11, 23, 2, 13, 5, 120_457, tzinfo=UTC)
TOLD_ANEW = {
    f"registrations.{name}"
    for name in ("registration", "transition", "job", "jobresult", "serverhealth")
}
"""What a restore writes into: see `registrations.backup.awakening`."""

pytestmark = pytest.mark.django_db(transaction=True)

VENDORS = ("sqlite", "postgresql")


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def live_there() -> ServerGroup:
    """Something in every table, and awkward where it can be."""
    site = make_site("Main-1", time_zone="Europe/Zurich", has_own_workers=True)
    group = make_group(tls_ca=ODD, fast_failover=True)
    DnsRecord.objects.create(group=group, kind="A", name="pbx.example", address="192.0.2.1")
    Server.objects.filter(group=group, priority=2).update(lost_features=["MWI", ODD])
    bound = make_registration(
        group,
        State.PRIMARY,
        site,
        snapshot={"aor": ODD, "n": [1.5, None, True], "deep": {"ü": "\u2028"}},
        lease_token=uuid.uuid4(),
        wish="failback",
        wish_version=3,
        heard_at=NOW,
    )
    make_registration(group, State.HELD, site)
    make_registration(group, State.REGISTERING, site)
    make_registration(group, State.DISABLED, site, supervision="off")
    bound.line.handset.tags = ["icu", ODD]
    bound.line.handset.name = ODD
    bound.line.handset.save()
    gone = make_registration(group, State.PRIMARY, site)
    make_transition(bound, at=NOW, reason=ODD, detect_seconds=0.1 + 0.2, seconds=None)
    make_transition(gone)
    gone.line.handset.delete()
    make_people(group, site)
    make_orders(group, bound)
    Census.objects.create(at=NOW, group=group, states={"primary": 1}, servers={"1": {"a": 2}})
    make_reports(bound.line.handset)
    RenewalHour.objects.create(hour=NOW, group_name="ward", server="127.0.0.2", renewals=7)
    server = group.servers.get(priority=1)
    make_server_change(server, until=NOW)
    ServerHealth.objects.update_or_create(
        server=server,
        site=site,
        defaults={"condition": "up", "since": NOW, "due_at": timezone.now(), "lease_token": None},
    )
    ServerPace.objects.create(server=server, next_at=1_795_000_000.123456)
    ServerPause.objects.create(server=server, address="127.0.0.2", port=5060, until=1.5)
    ServerAcceptance.objects.create(server=server, registration=bound, refused_at=NOW)
    return group


def make_people(group: ServerGroup, site: Site) -> None:
    user = make_user("night", Role.OPERATOR)
    user.set_password("a long enough passphrase")
    user.save()
    make_token(user, Role.OPERATOR)
    Session.objects.create(session_key="s" * 32, session_data="x", expire_date=NOW)
    Preference.objects.create(user=user, time_zone="browser", handset_columns=["mac"])
    SavedView.objects.create(slug="mine", name="Mine", owner=user, query="state=primary")
    board = WallboardToken.objects.create(name="ICU", digest="d" * 64, created_by="night")
    board.groups.add(group)
    board.sites.add(site)


def make_orders(group: ServerGroup, bound: Registration) -> None:
    done = Job.objects.create(scope={"all": True}, asked_by="night", finished_at=NOW)
    going = Job.objects.create(kind="rollback", scope={}, asked_by="night", rolls_back=done)
    JobResult.objects.create(job=going, registration=bound, group=group, mac="0", extension="1")
    server = group.servers.get(priority=2)
    Drain.objects.create(
        server=server, begins_at=NOW, ends_at=NOW + timedelta(hours=1), asked_by="x", away=going
    )
    QuietHours.objects.create(
        group=group, days="12345", begins=time(6, 45), ends=time(7, 15, 30), made_by="night"
    )
    export = ExportJob.objects.create(kind="transitions", asked_by="night")
    ExportPart.objects.create(job=export, number=1, data=b"\x00\xff")


def dump() -> dict[str, dict[str, Any]]:
    """This process's database as Django's own serializer reads it."""
    out = StringIO()
    call_command("dumpdata", stdout=out)
    return by_model(json.loads(out.getvalue()))


def plain(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Without what a restore tells anew. Django writes times to the millisecond on both sides."""
    return {model: found for model, found in rows.items() if model not in TOLD_ANEW}


def to_the_last_digit(kept: Iterable[str] | None = None) -> list[Any]:
    """What Django's serializer rounds: microseconds, and floats."""
    history = Transition.objects.order_by("pk")
    if kept is not None:
        history = history.filter(pk__in=list(kept))
    return [
        *history.values_list("pk", "at", "detect_seconds", "seconds"),
        *Census.objects.values_list("at", "states", "servers"),
        *ServerAcceptance.objects.values_list("refused_at"),
        *ServerPace.objects.values_list("next_at"),
        *QuietHours.objects.values_list("begins", "ends", "created_at"),
        *User.objects.order_by("pk").values_list("date_joined", "password"),
    ]


def backed_up(tmp_path: Path) -> Path:
    path = tmp_path / "made.rollcall"
    backup.back_up(path, keys_of(path))
    return path


@pytest.mark.parametrize("there", VENDORS)
@pytest.mark.parametrize("here", VENDORS)
def test_everything_comes_back_on_either_database(
    there: str, here: str, tmp_path: Path, on: On
) -> None:
    with on(there):
        live_there()
        before, exact = dump(), to_the_last_digit()
        path = backed_up(tmp_path)
    told = before["registrations.transition"]
    with on(here):
        done = backup.restore(path, keys_of(path))
        assert (done.manifest.rows_of("fleet_handset"), done.tokens) == (4, 1)
        after = dump()
        assert plain(after) == plain(before)
        assert to_the_last_digit(told) == exact
        lines = {fields["auth_password"] for fields in after["fleet.line"].values()}
        assert lines == {"a very secret password"}
        assert {pk: after["registrations.transition"][pk] for pk in told} == told
        # The history of a line that is gone stays that line's: nobody is given its id.
        highest = max(row["registration"] for row in told.values() if row["registration"])
        assert highest > Registration.objects.latest("pk").pk
        assert make_registration(ServerGroup.objects.get()).pk == highest + 1


@pytest.mark.parametrize("vendor", VENDORS)
def test_whoever_was_registered_is_unknown_until_heard(vendor: str, tmp_path: Path, on: On) -> None:
    with on(vendor):
        live_there()
        before = dump()
        path = backed_up(tmp_path)
    made_at = made_at_of(path)
    with on(vendor):
        backup.restore(path, keys_of(path))
        states = queries.summary(timezone.now() + queries.GRACE)["states"]
        after = dump()
    assert (states["unknown"], states["disabled"]) == (3, 1)
    was = before["registrations.registration"]
    for pk, row in after["registrations.registration"].items():
        if was[pk]["state"] == "disabled":
            assert row == was[pk]
            continue
        assert (row["state"], row["server"], row["expires_at"]) == ("registering", None, None)
        assert (row["lease_token"], row["wish"]) == (None, "")
        assert instant(row["due_at"]) == pytest.approx(made_at, abs=0.002)
        # No Call-ID of then, whose CSeq may have grown since; nor the leave to bind unasked.
        assert "courses" not in row["snapshot"]
    told = after["registrations.transition"].items()
    new = [row for pk, row in told if pk not in before["registrations.transition"]]
    assert {(r["from_state"], r["to_state"], r["cause"]) for r in new} == {
        ("primary", "unknown", "gap"),
        ("held", "unknown", "gap"),
    }
    assert all(instant(row["at"]) == pytest.approx(made_at, abs=0.002) for row in new)
    jobs = after["registrations.job"].values()
    assert all(job["finished_at"] for job in jobs), "an order of then is not one of now"
    results = after["registrations.jobresult"].values()
    assert {row["result"] for row in results} == {"cancelled"}


def test_a_copy_beside_the_living_one_waits_until_somebody_says_go(tmp_path: Path, on: On) -> None:
    with on("sqlite"):
        watched = make_registration(live_there(), State.PRIMARY, supervision="observe")
        Registration.objects.filter(pk=watched.pk).update(due_at=None)
        store.ensure_proofs([watched.line_id], timezone.now().timestamp())
        path = backed_up(tmp_path)
    with on("sqlite"):
        done = backup.restore(path, keys_of(path), waiting=True)
        assert done.waiting == 4
        assert Line.objects.filter(waits=True).count() == 4
        assert set(Line.objects.values_list("supervision", flat=True)) == {"off"}
        assert not StandbyProof.objects.exists(), "a copy asks nobody about anybody"
        assert set(Registration.objects.values_list("state", "due_at")) == {("disabled", None)}
        [start] = first_run.starts()
        assert (start.lines, start.watched) == (3, 1)
        assert first_run.go(by="night") == 4
        line = Line.objects.get(pk=watched.line_id)
        assert (line.supervision, line.waits, line.waits_for) == ("observe", False, "")
        assert Registration.objects.exclude(due_at=None).count() == 3
        assert StandbyProof.objects.filter(registration=watched.pk, is_observed=True).count() == 2


def test_the_embedded_database_moves_to_postgresql_by_one_command(
    tmp_path: Path, on: On, settings: Any
) -> None:
    with on("sqlite"):
        live_there()
        path = backed_up(tmp_path)
    old = Installation(tmp_path / "old")
    old.manage("restore", str(path))
    before = old.dump()
    settings.CREDENTIALS_KEYS = [Fernet.generate_key()]
    with on("postgresql"):
        said = call("move_from", str(old.data_dir))
        assert "Moved 4 handsets" in said and "1 API tokens" in said
        assert dump() == before, "agents go on where they were"
        with pytest.raises(CommandError, match="not empty"):
            call("move_from", str(old.data_dir))
    # Started by mistake, it would register the same handsets as the new one.
    assert "moved to another database" in old.manage("up", fails=True)


def test_secrets_are_in_a_file_of_their_own(tmp_path: Path, settings: Any, on: On) -> None:
    with on("sqlite"):
        live_there()
        path = backed_up(tmp_path)
    for file in (path, keys_of(path)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    ours = [key.decode() for key in settings.CREDENTIALS_KEYS]
    for secret in ("key-", "s" * 32, "a very secret password", settings.SECRET_KEY, *ours):
        assert secret.encode() not in everything
    assert json.loads(keys_of(path).read_text()) == {"credentials_keys": ours}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_without_the_keys_nothing_is_restored(
    tmp_path: Path, settings: Any, on: On, kind: str
) -> None:
    with on("sqlite"):
        live_there()
        path = backed_up(tmp_path)
    settings.CREDENTIALS_KEYS = [Fernet.generate_key()]
    with on(kind):
        before = dump()
        with pytest.raises(backup.Refused, match="--keys FILE"):
            backup.restore(path, None)
        assert dump() == before
        backup.restore(path, keys_of(path))
        passwords = set(Line.objects.values_list("auth_password", flat=True))
        assert passwords == {"a very secret password"}, "under this installation's own key"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One byte of a table's data is another one."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("registrations_transition.jsonl")
    data[info.header_offset + 120] ^= 0xFF
    path.write_bytes(bytes(data))


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def newer(path: Path) -> None:
    rewrite(path, lambda m: m["migrations"].append(["registrations", "9999_of_next_year"]))


def newest(path: Path) -> None:
    rewrite(path, lambda m: m.update(format=99))


def short(path: Path) -> None:
    """The manifest of another day: it promises a row that is not there."""
    rewrite(path, lambda m: m["tables"][-1].update(rows=m["tables"][-1]["rows"] + 1))


def nonsense(path: Path) -> None:
    path.write_bytes(b"not an archive")


@pytest.mark.parametrize(
    ("vendor", "harm", "sentence"),
    [
        ("sqlite", cut, "cut short or damaged"),
        ("sqlite", flip, "The archive is damaged"),
        ("sqlite", newer, "made by a newer Rollcall (it has registrations.9999_of_next_year)"),
        ("sqlite", newest, "made by a newer Rollcall"),
        ("sqlite", short, "nothing was restored"),
        ("sqlite", nonsense, "is no archive of Rollcall"),
        ("postgresql", flip, "The archive is damaged"),
        ("postgresql", short, "nothing was restored"),
    ],
)
def test_an_archive_that_is_not_whole_is_refused_and_leaves_nothing(
    vendor: str, harm: Callable[[Path], None], sentence: str, tmp_path: Path, on: On
) -> None:
    with on(vendor):
        live_there()
        path = backed_up(tmp_path)
    harm(path)
    with on(vendor):
        before = dump()
        with pytest.raises(CommandError, match=re.escape(sentence)):
            call("restore", str(path))
        assert dump() == before


def test_what_does_not_fit_is_taken_back(tmp_path: Path, on: On) -> None:
    """SQLite takes a text of any length; PostgreSQL says no in the middle of it."""
    with on("sqlite"):
        make_line(make_group())
        Line.objects.update(extension="9" * 65)
        path = backed_up(tmp_path)
    with on("postgresql"):
        before = dump()
        with pytest.raises(backup.Refused, match="does not fit"):
            backup.restore(path, keys_of(path))
        assert dump() == before


def test_an_archive_of_an_older_version_is_brought_up_to_date(tmp_path: Path, on: On) -> None:
    with on("sqlite"):
        live_there()
        before = dump()
        path = backed_up(tmp_path)
    old = Installation(tmp_path / "old")
    old.manage("shell", "--no-imports", "-c", OLDER)
    as_of(path, old.data_dir / "rollcall.sqlite3")
    # Tokens stood in the database as they were, and so in the file of keys.
    night = int(*before["auth.user"])
    token = [["a" * 40, night, "2026-01-01 00:00:00"]]
    kept = json.loads(keys_of(path).read_text()) | {"tokens": token}
    keys_of(path).write_text(json.dumps(kept))
    here = Installation(tmp_path / "new")
    here.manage("restore", str(path))
    after, told = here.dump(), plain(before)
    del told["registrations.notificationaddress"]  # There was no such table then.
    del told["fleet.apitoken"]
    (taken,) = after["fleet.apitoken"].values()
    assert (taken["user"], taken["digest"]) == (night, tokens.digest("a" * 40))
    assert "authtoken.token" not in after or not after["authtoken.token"]
    # What newer migrations make of it beside is theirs to test.
    assert {model: after[model] for model in told} == told
    # Where there are tables already, they would have to be brought back first.
    with on("sqlite"), pytest.raises(backup.Refused, match="made by an older Rollcall"):
        backup.restore(path, keys_of(path))


OLDER = """
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
for app, *name in (["registrations", "0008"], ["fleet", "0004"], ["auth"], ["authtoken"],
                   ["auditlog"], ["axes"], ["admin"], ["sessions"]):
    call_command("migrate", app, *name, verbosity=0)
"""
"""Makes the tables as they were before lines could wait."""


def as_of(path: Path, database: Path) -> None:
    """Make an archive what a version with the tables of that database would have made."""
    with closing(sqlite3.connect(database)) as old, zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        manifest["migrations"] = old.execute("SELECT app, name FROM django_migrations").fetchall()
        members, tables = {}, []
        for table in manifest["tables"]:
            there = {row[1] for row in old.execute(f"PRAGMA table_info({table['name']})")}
            names = [name for name, _ in table["columns"]]
            kept = [place for place, name in enumerate(names) if name in there]
            if not kept:
                continue
            rows = [json.loads(line) for line in archive.open(f"{table['name']}.jsonl")]
            lines = (json.dumps([row[place] for place in kept]) + "\n" for row in rows)
            data = members[f"{table['name']}.jsonl"] = "".join(lines).encode()
            table["sha256"] = hashlib.sha256(data).hexdigest()
            table["columns"] = [table["columns"][place] for place in kept]
            tables.append(table)
    manifest["tables"] = tables
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as aged:
        for name, data in members.items():
            aged.writestr(name, data)


def test_a_backup_shows_one_moment(database: str) -> None:
    make_site("before")
    with snapshot() as found:
        writer = threading.Thread(target=_write_a_site)
        writer.start()
        writer.join(30)
        names = [name for (name,) in found.ask("SELECT name FROM fleet_site")]
    assert names == ["before"]
    assert set(Site.objects.values_list("name", flat=True)) == {"before", "meanwhile"}


def _write_a_site() -> None:
    try:
        make_site("meanwhile")
    finally:
        connections.close_all()


def test_a_backup_replaces_no_file_and_leaves_no_half_one(tmp_path: Path) -> None:
    path = backed_up(tmp_path)
    was = path.read_bytes()
    with pytest.raises(backup.Refused, match="is there already"):
        backup.back_up(path, tmp_path / "other.keys")
    with pytest.raises(backup.Refused, match="no folder"):
        backup.back_up(tmp_path / "missing" / "it", tmp_path / "its.keys")
    assert path.read_bytes() == was
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [
        "made.rollcall",
        "made.rollcall.keys",
    ]


def test_nobodys_installation_is_written_over(tmp_path: Path, on: On) -> None:
    with on("sqlite"):
        make_line(make_group())
        path = backed_up(tmp_path)
        before = dump()
        with pytest.raises(backup.Refused, match=r"not empty \(1 handsets, 1 groups, 1 sites\)"):
            backup.restore(path, keys_of(path))
        assert dump() == before


def test_a_running_installation_is_not_restored(tmp_path: Path, on: On) -> None:
    with on("sqlite"):
        path = backed_up(tmp_path)
        with lock(tmp_path / "run"), pytest.raises(CommandError, match="stop it before"):
            call("restore", str(path))
        assert "Restored 0 handsets" in call("restore", str(path))


def call(*args: str) -> str:
    """Run a command in this process and return what it says."""
    out = StringIO()
    call_command(*args, stdout=out)
    return out.getvalue()


def keys_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.keys")


def made_at_of(path: Path) -> float:
    with zipfile.ZipFile(path) as archive:
        return float(json.loads(archive.read("manifest.json"))["made_at"])


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
