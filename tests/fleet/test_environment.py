"""What the environment may say, and the one sentence for what it may not."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from psycopg2.extensions import make_dsn

from fleet.config import directory, env

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("SECRET_KEY", "CREDENTIALS_KEYS", "EMBEDDED", "DATABASES", "REDIS_URL", "ALLOWED_HOSTS")
SHOW = (
    "import json; from fleet.config import settings as s;"
    f"print(json.dumps({{n: getattr(s, n) for n in {NAMES}}}, default=str))"
)


def start(tmp_path: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process whose environment is `given` and a DATA_DIR."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", SHOW],
        env={**keep, "DATA_DIR": str(tmp_path / "data"), **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def settings(tmp_path: Path, **given: str) -> dict[str, Any]:
    done = start(tmp_path, **given)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def refusal(tmp_path: Path, **given: str) -> str:
    done = start(tmp_path, **given)
    assert done.returncode == 1
    said = done.stderr.strip()
    assert len(said.splitlines()) == 1, said
    return said


def test_embedded_keys_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    first = settings(tmp_path)
    second = settings(tmp_path)
    assert first["EMBEDDED"] is True
    assert first["SECRET_KEY"] == second["SECRET_KEY"]
    assert first["CREDENTIALS_KEYS"] == second["CREDENTIALS_KEYS"]
    for name in ("secret_key", "credentials_key"):
        mode = stat.S_IMODE((tmp_path / "data" / "keys" / name).stat().st_mode)
        assert mode == 0o600
    assert stat.S_IMODE((tmp_path / "data" / "keys").stat().st_mode) == 0o700


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHOW]
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data")}
    running = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    found = [json.loads(child.communicate(timeout=60)[0]) for child in running]
    for name in ("SECRET_KEY", "CREDENTIALS_KEYS"):
        assert len({str(settings[name]) for settings in found}) == 1


@pytest.mark.parametrize("missing", ["SECRET_KEY", "CREDENTIALS_KEY"])
def test_a_database_of_ones_own_needs_keys_of_ones_own(tmp_path: Path, missing: str) -> None:
    given = {
        "DATABASE_URL": "postgres://rollcall:pw@db/rollcall",
        "SECRET_KEY": "x" * 50,
        "CREDENTIALS_KEY": Fernet.generate_key().decode(),
    }
    del given[missing]
    assert missing in refusal(tmp_path, **given)
    assert not (tmp_path / "data").exists()


def test_a_database_url_is_read_and_never_shown_when_it_cannot_be(tmp_path: Path) -> None:
    keys = {"SECRET_KEY": "x" * 50, "CREDENTIALS_KEY": Fernet.generate_key().decode()}
    url = "postgres://rollcall:p%40ss@db:5433/fleet"
    default = settings(tmp_path, DATABASE_URL=url, **keys)["DATABASES"]["default"]
    assert (default["HOST"], default["PORT"], default["NAME"]) == ("db", 5433, "fleet")
    assert (default["PASSWORD"], default["CONN_MAX_AGE"]) == ("p@ss", 0)
    for wrong in (
        "mysql://u:hidden@db/x",
        "postgres://u:hidden@db:port/x",
        "hidden",
    ):
        said = refusal(tmp_path, DATABASE_URL=wrong, **keys)
        assert "DATABASE_URL" in said
        assert "hidden" not in said


def test_a_database_whose_network_is_gone_is_not_waited_for_by_the_hour(tmp_path: Path) -> None:
    keys = {"SECRET_KEY": "x" * 50, "CREDENTIALS_KEY": Fernet.generate_key().decode()}
    url = "postgres://rollcall:pw@db/fleet?keepalives_count=9&sslmode=require"
    options = settings(tmp_path, DATABASE_URL=url, **keys)["DATABASES"]["default"]["OPTIONS"]
    assert options["connect_timeout"] <= 10
    assert options["tcp_user_timeout"] <= 30_000, "what was sent and never acknowledged"
    assert options["keepalives_idle"] + 3 * options["keepalives_interval"] <= 30, "what is awaited"
    assert (options["keepalives_count"], options["sslmode"]) == (9, "require")
    make_dsn(**options)


def test_a_data_folder_may_have_any_name(tmp_path: Path) -> None:
    odd = tmp_path / "a b%20?#c"
    default = settings(tmp_path, DATA_DIR=str(odd))["DATABASES"]["default"]
    assert default["NAME"] == str(odd / "rollcall.sqlite3")


def test_several_credentials_keys_are_read_in_their_order(tmp_path: Path) -> None:
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    found = settings(tmp_path, CREDENTIALS_KEY=", ".join(keys))["CREDENTIALS_KEYS"]
    assert found == [str(key.encode()) for key in keys]
    assert "CREDENTIALS_KEY" in refusal(tmp_path, CREDENTIALS_KEY="short")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "80a"),
        ("PORT", "65536"),
        ("WORKERS", "0"),
        ("DEMO", "perhaps"),
        ("SIP_CONTACT", "host"),
        ("REDIS_URL", "http://redis"),
        ("DATA_DIR", "/proc/none"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence_that_names_the_variable(
    tmp_path: Path, name: str, value: str
) -> None:
    assert name in refusal(tmp_path, **{name: value})


SIGN_ON = {
    "OIDC_ISSUER": "https://login.example/realms/staff/",
    "OIDC_CLIENT_ID": "rollcall",
    "OIDC_CLIENT_SECRET": "hidden",
    "OIDC_ROLES": "voice=operator, CN\\=it=Admin",
}


def test_single_sign_on_is_off_unless_all_of_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.open_id() == env.OpenId()
    for name, value in SIGN_ON.items():
        monkeypatch.setenv(name, value)
    told = env.open_id()
    assert told.issuer == SIGN_ON["OIDC_ISSUER"], "to the letter: tokens repeat it"
    assert told.roles == (("voice", "operator"), ("CN\\=it", "admin"))
    assert (told.role_claim, told.scopes) == ("roles", "openid profile email")
    assert "hidden" not in repr(told)
    for name in SIGN_ON:
        monkeypatch.delenv(name)
        with pytest.raises(env.Refusal, match=name):
            env.open_id()
        monkeypatch.setenv(name, SIGN_ON[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("OIDC_ISSUER", "login.example"), ("OIDC_ISSUER", "http://login.example")),
        *(("OIDC_ISSUER", "ftp://localhost"), ("OIDC_ISSUER", "https://")),
        *(("OIDC_ROLES", "voice"), ("OIDC_ROLES", "voice=chief"), ("OIDC_ROLES", "=admin")),
    ],
)
def test_a_provider_that_cannot_be_meant_is_refused(tmp_path: Path, name: str, value: str) -> None:
    assert name in refusal(tmp_path, **{**SIGN_ON, name: value})


LDAP = {
    "LDAP_URL": "ldaps://directory.example/",
    "LDAP_BIND_DN": "cn=rollcall,dc=x",
    "LDAP_BIND_PASSWORD": "hidden",
    "LDAP_USER_BASE": "dc=x",
    "LDAP_ROLES": "cn=it,dc=x=Admin; cn=voice,dc=x = viewer;",
}


def test_a_directory_is_asked_only_where_all_of_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert directory.directory() == directory.Directory()
    for name, value in LDAP.items():
        monkeypatch.setenv(name, value)
    told = directory.directory()
    assert (told.url, told.starttls, told.user_dn) == ("ldaps://directory.example", True, "")
    assert told.roles == (("cn=it,dc=x", "admin"), ("cn=voice,dc=x", "viewer"))
    assert "hidden" not in repr(told)
    for name in LDAP:
        monkeypatch.delenv(name)
        with pytest.raises(env.Refusal, match=name):
            directory.directory()
        monkeypatch.setenv(name, LDAP[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("LDAP_URL", "directory.example"), ("LDAP_URL", "https://directory.example")),
        *(("LDAP_URL", "ldap://"), ("LDAP_URL", "ldap://x:0"), ("LDAP_URL", "ldap://x:port")),
        *(("LDAP_URL", "ldap://x/dc=x"), ("LDAP_URL", "ldap://x?y")),
        *(("LDAP_STARTTLS", "never"), ("LDAP_USER_DN", "uid={user},dc=x")),
        *(("LDAP_USER_FILTER", "objectClass=person"), ("LDAP_GROUP_FILTER", "member={dn}")),
        *(("LDAP_ROLES", "it=admin"), ("LDAP_ROLES", "cn=it,dc=x=chief")),
    ],
)
def test_a_directory_that_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for each, given in {**LDAP, name: value}.items():
        monkeypatch.setenv(each, given)
    with pytest.raises(env.Refusal, match=name):
        directory.directory()


def test_each_binds_as_a_name_made_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LDAP_URL", "LDAP_USER_BASE", "LDAP_ROLES"):
        monkeypatch.setenv(name, LDAP[name])
    monkeypatch.setenv("LDAP_USER_DN", "somebody@x")
    with pytest.raises(env.Refusal, match="LDAP_USER_DN must have {user} in it"):
        directory.directory()
    monkeypatch.setenv("LDAP_USER_DN", "{user}@x")
    assert directory.directory().user_dn == "{user}@x"


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    said = refusal(tmp_path, **{**LDAP, "LDAP_URL": "ldap://u:hidden@x"})
    assert "LDAP_URL" in said and "hidden" not in said


def test_a_socket_path_that_is_too_long_moves_to_a_short_private_one(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    moved = env.run_dir(long)
    assert len(str(moved / "redis.sock")) <= env.MAX_SOCKET_PATH
    assert moved == env.run_dir(long), "the same in every process"
    assert moved != env.run_dir(tmp_path / ("y" * 120))
    assert env.run_dir(Path("/srv/data")) == Path("/srv/data/run")


@pytest.mark.parametrize(
    ("redis", "broker"),
    [
        ("redis://cache:6379/1", "redis://cache:6379/1"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("rediss://cache:6379/1", "rediss://cache:6379/1?ssl_cert_reqs=required"),
        ("rediss://c/1?ssl_cert_reqs=none", "rediss://c/1?ssl_cert_reqs=none"),
    ],
)
def test_celery_is_given_the_same_redis_in_its_own_words(redis: str, broker: str) -> None:
    assert env.broker_url(redis) == broker
