"""What contradicts itself is said in a sentence that names the variable and what to do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from cryptography.fernet import Fernet
from django.core.checks import CheckMessage, Error

from fleet import checks, versions
from fleet.checks import stores, variables
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures
from tests.support.product import ROOT, clean_environment
from tests.support.rows import make_group, make_line, make_site
from tests.support.stores import Postgres

PRODUCTION = {
    "SECRET_KEY": "k" * 20 + "0123456789abcdefghijklmnopqrstuvwxyz",
    "CREDENTIALS_KEY": Fernet.generate_key().decode(),
    "ALLOWED_HOSTS": "rollcall.hospital.example",
    "SIP_CONTACT": "192.0.2.5:9000",
    "DATABASE_URL": "postgres://rollcall@127.0.0.1:1/rollcall",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def check(*args: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", *args],
        env={**clean_environment(), **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_deploy_checks_are_clean_behind_tls() -> None:
    done = check("--deploy", "--fail-level", "WARNING", **PRODUCTION, BEHIND_TLS="1")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_without_tls_one_sentence_says_so() -> None:
    done = check("--deploy", **PRODUCTION)
    issues = [line for line in done.stderr.splitlines() if line.startswith("?:")]
    assert len(issues) == 1, done.stderr
    assert "BEHIND_TLS is off" in issues[0]


def test_what_only_this_machine_reaches_is_not_fit_for_production() -> None:
    given = {**PRODUCTION, "BEHIND_TLS": "1", "DEMO": "1"}
    done = check("--deploy", **{**given, "SIP_CONTACT": "127.0.0.1:9000"})
    assert "SIP_CONTACT is 127.0.0.1:9000: only this machine" in done.stderr
    assert "DEMO is on" in done.stderr
    assert "SIP_CONTACT is not set" in check("--deploy", **{**given, "SIP_CONTACT": ""}).stderr


def said(found: Any) -> str:
    """The one thing a check found: what is wrong and what to do."""
    (message,) = found
    assert isinstance(message, CheckMessage) and message.hint
    assert message.id and message.id.startswith(checks.OURS)
    return f"{message.msg} {message.hint}"


def test_several_workers_need_a_database_for_several(settings: Any) -> None:
    assert list(variables.workers_on_sqlite()) == []
    settings.WORKERS = 4
    assert "DATABASE_URL" in said(variables.workers_on_sqlite())
    settings.WORKERS, settings.REDIS_URL = 1, "redis://cache.example:6379/0"
    sentence = said(variables.workers_on_sqlite())
    assert "REDIS_URL" in sentence and "cache.example" in sentence
    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    assert list(variables.workers_on_sqlite()) == []


def test_browsers_come_by_names_that_were_told(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert "ALLOWED_HOSTS=rollcall.hospital.example" in said(variables.hosts())
    settings.ALLOWED_HOSTS, settings.BEHIND_TLS = ["localhost", "127.0.0.1"], True
    assert "Set ALLOWED_HOSTS" in said(variables.hosts())
    settings.ALLOWED_HOSTS = ["rollcall.hospital.example", "127.0.0.1"]
    assert list(variables.hosts()) == []


@pytest.mark.parametrize("place", ["0.0.0.0:9000", "[::]:9000", "224.0.0.1:9000", "192.0.2.5:5060"])
def test_a_contact_that_cannot_be_called_is_refused(settings: Any, place: str) -> None:
    settings.SIP_CONTACT = place
    assert "SIP_CONTACT" in said(variables.contact())
    settings.SIP_CONTACT = "[2001:db8::5]:9000"
    assert list(variables.contact()) == []


def test_https_is_asked_for_but_not_of_whoever_looks_after_us(settings: Any, client: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200
    answer = client.get("/accounts/login/")
    assert (answer.status_code, answer["Location"][:8]) == (301, "https://")


ASKED = ["default"]


@pytest.mark.django_db
def test_stores_are_asked_only_where_a_database_is_named() -> None:
    make_line(make_group())
    assert [list(each()) for each in stores.ALL] == [[]] * len(stores.ALL)


def test_a_key_that_opens_nothing_is_found_before_anybody_needs_a_password(
    database: str,  # noqa: F811
    settings: Any,
) -> None:
    assert list(stores.credentials(ASKED)) == []
    make_line(make_group())
    old = settings.CREDENTIALS_KEYS
    assert list(stores.credentials(ASKED)) == []
    settings.CREDENTIALS_KEYS = [Fernet.generate_key()]
    assert "Set CREDENTIALS_KEY to the key" in said(stores.credentials(ASKED))
    assert checks.of_worker(), "no worker starts with it"
    settings.CREDENTIALS_KEYS = [Fernet.generate_key(), *old]
    assert list(stores.credentials(ASKED)) == [] == checks.of_worker()


@pytest.mark.django_db
def test_sites_of_workers_are_sites_with_workers_of_their_own(settings: Any) -> None:
    make_site("north", has_own_workers=True)
    make_site("south")
    settings.WORKER_SITES = ["north"]
    assert list(stores.sites(ASKED)) == []
    settings.WORKER_SITES = ["noth"]
    assert "WORKER_SITES names 'noth'" in said(stores.sites(ASKED))
    settings.WORKER_SITES = ["south"]
    assert "shared workers" in said(stores.sites(ASKED))


def test_a_database_is_new_enough_and_keeps_the_same_time(
    database: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list(stores.database(ASKED)) == []
    monkeypatch.setattr(stores, "OLDEST_POSTGRESQL", 99)
    monkeypatch.setattr(stores, "OLDEST_SQLITE", (99, 0))
    assert "DATABASE_URL" in said(stores.database(ASKED))
    monkeypatch.undo()
    if database == "postgresql":
        real = stores.time.time
        monkeypatch.setattr(stores.time, "time", lambda: real() + 60)
        assert "60 s apart" in said(stores.database(ASKED))


def test_a_database_that_cannot_keep_every_name_is_refused(postgres: Postgres) -> None:
    connection = postgres.connect("postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    connection.close()
    given = {**PRODUCTION, "DATABASE_URL": postgres.url("latin")}
    done = check("--database", "default", **given)
    assert "keeps text as LATIN1" in done.stderr
    # Nobody listens at the port of its Redis.
    assert "REDIS_URL: Redis cannot be used" in done.stderr


def test_a_database_that_is_away_is_said_to_be() -> None:
    done = check("--database", "default", **PRODUCTION)
    assert done.returncode == 1
    assert "See that DATABASE_URL is right" in done.stderr


@pytest.fixture
def client_of(redis_url: str, settings: Any) -> Iterator[redis.Redis]:
    settings.REDIS_URL = redis_url
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
        client.execute_command("ACL", "DELUSER", "deaf")


def test_a_redis_that_forgets_by_itself_is_told(
    client_of: redis.Redis, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(stores.broker(ASKED)) == []
    client_of.config_set("maxmemory-policy", "allkeys-lru")
    assert list(stores.broker(ASKED)) == [], "without a limit nothing is dropped"
    client_of.config_set("maxmemory", 100_000_000)
    assert "Set maxmemory-policy to noeviction" in said(stores.broker(ASKED))
    client_of.config_set("maxmemory", 0)
    monkeypatch.setattr(stores, "OLDEST_REDIS", (99, 0))
    assert "the oldest that will do" in said(stores.broker(ASKED))


def test_a_redis_that_lets_nobody_speak_or_has_no_such_database_is_told(
    client_of: redis.Redis, settings: Any, redis_url: str
) -> None:
    path = urlsplit(redis_url).path
    client_of.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "+@all", "resetchannels")
    settings.REDIS_URL = f"unix://deaf:pw@{path}?db=0"
    (found,) = stores.broker(ASKED)
    assert isinstance(found, Error) and "may not publish" in found.msg
    settings.REDIS_URL = f"unix://{path}?db=99"
    assert "DB index is out of range" in said(stores.broker(ASKED))
    settings.REDIS_URL = f"unix://{path}.none?db=0"
    assert "Redis cannot be used" in said(stores.broker(ASKED))


def test_preparing_stops_at_an_error_and_tells_warnings(tmp_path: Path) -> None:
    def prepare(**given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "prepare"],
            env={**clean_environment(), "DATA_DIR": str(tmp_path / "data"), **given},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
        )

    done = prepare(SIP_CONTACT="0.0.0.0:9000")
    assert done.returncode == 1
    assert "SIP_CONTACT is 0.0.0.0:9000" in done.stderr and "Traceback" not in done.stderr
    done = prepare(WORKERS="3", ALLOWED_HOSTS="*")
    assert done.returncode == 0
    assert "Warning: WORKERS is 3" in done.stdout and "password" in done.stdout
    assert "Warning: ALLOWED_HOSTS is '*'" in done.stdout


@pytest.mark.django_db(transaction=True)
def test_a_newer_worker_waits_for_its_tables_and_an_older_one_minds_no_newer_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert versions.missing() == []
    known = versions.known()
    # The database has more than this version knows.
    monkeypatch.setattr(versions, "known", lambda: known - {max(known)})
    versions.wait_for_tables(pause=pytest.fail)
    # It lacks what this version brings, until somebody migrates.
    monkeypatch.setattr(versions, "known", lambda: {*known, ("fleet", "9999_next")})
    looked: list[float] = []

    def pause(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 3:
            monkeypatch.setattr(versions, "known", lambda: known)

    versions.wait_for_tables(pause)
    assert len(looked) == 3
    assert "lacks the migration fleet.9999_next" in caplog.text
    assert len(caplog.records) == 1, "told once, not with each look"
