"""Reads Rollcall's environment: typed values, embedded defaults, one-sentence refusals."""

import hashlib
import ipaddress
import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

import environ
from cryptography.fernet import Fernet

from fleet.formats import networks

MAX_SOCKET_PATH = 100
"""Bytes; Linux refuses unix socket paths over 107 (unix(7)), names below need the rest."""

IN_MEMORY = "memory://"
"""REDIS_URL of a test process: one process, no broker, no other web process to tell."""


DATABASES = {"postgres", "postgresql", "psql", "pgsql", "sqlite"}
"""Schemes of DATABASE_URL."""


class Refusal(SystemExit):
    """Rollcall will not start: its one sentence goes to stderr and the exit code is 1."""


def refuse(sentence: str) -> NoReturn:
    raise Refusal(f"Rollcall: {sentence}")


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list; blanks around and empty entries are dropped."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def number(name: str, default: int, lowest: int, highest: int) -> int:
    given = text(name, str(default))
    if not given.isascii() or not given.isdigit() or not lowest <= int(given) <= highest:
        refuse(f"{name} must be a whole number from {lowest} to {highest}, not {given!r}.")
    return int(given)


def flag(name: str, default: bool = False) -> bool:
    given = text(name, "1" if default else "0").lower()
    if given not in {"0", "1", "false", "true", "no", "yes", "off", "on"}:
        refuse(f"{name} must be 1 or 0, not {given!r}.")
    return given in {"1", "true", "yes", "on"}


def choice(name: str, default: str, choices: Iterable[str]) -> str:
    given = text(name, default).lower()
    if given not in choices:
        refuse(f"{name} must be {' or '.join(choices)}, not {given!r}.")
    return given


def host_port(name: str) -> str:
    """'HOST:PORT' ([HOST]:PORT for IPv6) or ''."""
    given = text(name)
    if not given:
        return ""
    host, _, port = given.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        refuse(f"{name} must be HOST:PORT, not {given!r}.")
    return given


def dns_servers(name: str) -> list[tuple[str, int]] | None:
    """A list of HOST:PORT (addresses; the port may be left out), [] for `none`; None: not given."""
    given = words(name)
    if not given or given == ["none"]:
        return [] if given else None
    servers = []
    for word in given:
        bare = word.count(":") > 1 and not word.startswith("[")
        host, _, port = (word, "", "") if bare else word.partition("]:" if "]" in word else ":")
        host, port = host.strip("[]"), port or "53"
        try:
            ipaddress.ip_address(host)
        except ValueError:
            refuse(f"{name} must be addresses as HOST:PORT, separated by commas, not {word!r}.")
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            refuse(f"{name} must be addresses as HOST:PORT, separated by commas, not {word!r}.")
        servers.append((host, int(port)))
    return servers


def allowed_servers(name: str, bind: str, *, is_for_one_machine: bool) -> networks.AllowRule:
    """The networks whose addresses servers may have. Left empty, all that a registrar can have.

    This machine itself only where Rollcall is for one machine, or where only it reaches Rollcall.
    """
    local = is_for_one_machine or bind == "localhost" or bind.startswith("127.") or bind == "::1"
    return networks.AllowRule(networks_of(name), loopback=local)


def networks_of(name: str) -> tuple[networks.Network, ...]:
    """Networks and addresses, separated by commas."""
    try:
        return networks.listed(words(name))
    except ValueError as wrong:
        refuse(f"{name} must be networks such as 10.0.0.0/8, separated by commas, not '{wrong}'.")


def writable_dir(path: Path, what: str) -> Path:
    """Make `path` (0700 where it is new) and see that files can be made in it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        refuse(
            f"{what} {path} cannot be written ({error.strerror}); give DATA_DIR a folder "
            "that this user may write."
        )


def run_dir(data_dir: Path) -> Path:
    """Where pids and sockets live: DATA_DIR/run, or a short private path if that is too long."""
    chosen = data_dir / "run"
    if len(os.fsencode(chosen / "redis.sock")) <= MAX_SOCKET_PATH:
        return chosen
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"rollcall-{os.getuid()}-{digest}"


def database(data_dir: Path) -> tuple[dict[str, Any], bool]:
    """Django's DATABASES['default'], and whether it is the embedded one (SQLite in DATA_DIR)."""
    url = text("DATABASE_URL")
    always = {"CONN_MAX_AGE": 0, "ATOMIC_REQUESTS": False}
    if not url:
        writable_dir(data_dir, "DATA_DIR")
        return {"NAME": str(data_dir / "rollcall.sqlite3")} | sqlite_options() | always, True
    if url.partition("://")[0] not in DATABASES:
        # The library would warn with the whole URL, password included.
        refuse("DATABASE_URL must begin with postgres:// or sqlite:///.")
    try:
        config = dict(environ.Env.db_url_config(url))
    except Exception:
        # Whatever the library raises has the URL in it, password included.
        refuse("DATABASE_URL cannot be read; write postgres://USER:PASSWORD@HOST:PORT/NAME.")
    if str(config["ENGINE"]).endswith("sqlite3"):
        config |= sqlite_options()
    else:
        config["OPTIONS"] = POSTGRESQL_OPTIONS | config.get("OPTIONS", {})
    return config | always, False


POSTGRESQL_OPTIONS = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A connection whose network is gone is lost after half a minute. Left to the system, a worker
would wait on it for up to two hours, alive by all signs, and claim nothing. What DATABASE_URL says
itself goes first."""


def sqlite_options() -> dict[str, Any]:
    """WAL, short immediate transactions under one file lock: see fleet.config.sqlite."""
    return {
        "ENGINE": "fleet.config.sqlite",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
        },
        # A file, because worker threads and processes must see it; per process, because
        # several test runs may share the folder.
        "TEST": {"NAME": str(Path(tempfile.gettempdir()) / f"rollcall-test-{os.getpid()}.sqlite3")},
    }


def secret(name: str, data_dir: Path, embedded: bool, make: Any) -> str:
    """The variable `name`; embedded only: else DATA_DIR/keys/NAME, made once for good."""
    given = text(name)
    if given:
        return given
    if not embedded:
        refuse(f"{name} is not set, and must be when DATABASE_URL is given.")
    keys = writable_dir(data_dir / "keys", "DATA_DIR")
    path = keys / name.lower()
    # Written aside and linked: a process that finds the file finds it whole, and of two
    # that make it at once only one wins (link(2) refuses an existing name, like O_EXCL).
    if not path.exists():
        aside = keys / f".{name.lower()}.{os.getpid()}"
        aside.unlink(missing_ok=True)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(make())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return path.read_text().strip()


def credentials_keys(value: str) -> list[bytes]:
    """CREDENTIALS_KEY's comma-separated Fernet keys; the first encrypts, all decrypt."""
    keys = [part.strip().encode() for part in value.split(",") if part.strip()]
    for key in keys:
        try:
            Fernet(key)
        except ValueError:
            refuse(
                "CREDENTIALS_KEY must be comma-separated Fernet keys (32 bytes, url-safe "
                "base64); make one with: python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'."
            )
    return keys


def redis_url(run: Path) -> str:
    """REDIS_URL as given; else the embedded server's socket (none in a test process)."""
    default = IN_MEMORY if "pytest" in sys.modules else f"unix://{run / 'redis.sock'}?db=0"
    given = text("REDIS_URL", default)
    if urlsplit(given).scheme not in {"redis", "rediss", "unix", "memory"}:
        refuse("REDIS_URL must begin with redis://, rediss:// or unix://.")
    return given


def broker_url(redis: str) -> str:
    """What Celery (kombu) calls the same Redis."""
    if redis.startswith("unix://"):
        parts = urlsplit(redis)
        number = parts.query.removeprefix("db=") or "0"
        return f"redis+socket://{parts.path}?virtual_host={number}"
    if redis.startswith("rediss://") and "ssl_cert_reqs" not in redis:
        return f"{redis}{'&' if '?' in redis else '?'}ssl_cert_reqs=required"
    return redis


MAIL_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
"""Schemes of SMTP_URL, and the usual port of each."""


class Mail(NamedTuple):
    """The mail server; without one its host is ''."""

    scheme: str = "smtp"
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""


def mail(name: str) -> Mail:
    given = text(name)
    if not given:
        return Mail()
    try:
        url = urlsplit(given)
        port = url.port
    except ValueError:
        refuse(f"{name} cannot be read; write smtp+starttls://USER:PASSWORD@HOST:PORT.")
    if url.scheme not in MAIL_PORTS or not url.hostname:
        refuse(f"{name} must be smtp://, smtp+starttls:// or smtps:// and a host.")
    user, password = unquote(url.username or ""), unquote(url.password or "")
    return Mail(url.scheme, url.hostname, port or MAIL_PORTS[url.scheme], user, password)


def web_address(name: str) -> str:
    """An address of the product for links in messages, without a slash at its end; or ''."""
    given = text(name).rstrip("/")
    if given and (urlsplit(given).scheme not in {"http", "https"} or not urlsplit(given).netloc):
        refuse(f"{name} must be an address such as https://rollcall.example, not {given!r}.")
    return given


ROLES = ("viewer", "operator", "configurer", "admin")


@dataclass(frozen=True)
class OpenId:
    """Who says who somebody is, for single sign-on; without one its issuer is ''."""

    issuer: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    scopes: str = ""
    role_claim: str = ""
    roles: tuple[tuple[str, str], ...] = ()
    """Values of that claim, each with the role it gives."""


def open_id() -> OpenId:
    """OIDC_ISSUER and what belongs to it."""
    issuer = text("OIDC_ISSUER")
    needed = {name: text(name) for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ROLES")}
    for name, value in needed.items():
        if bool(value) != bool(issuer):
            refuse(f"{name} and OIDC_ISSUER must both be set, or neither.")
    if not issuer:
        return OpenId()
    url = urlsplit(issuer)
    # What is signed is trusted because of where its keys were fetched.
    is_safe = url.scheme == "https" or url.hostname in {"localhost", "127.0.0.1", "::1"}
    if url.scheme not in {"http", "https"} or not url.hostname or not is_safe:
        refuse(f"OIDC_ISSUER must be an address such as https://login.example, not {issuer!r}.")
    return OpenId(
        issuer,
        needed["OIDC_CLIENT_ID"],
        needed["OIDC_CLIENT_SECRET"],
        text("OIDC_SCOPES", "openid profile email"),
        text("OIDC_ROLE_CLAIM", "roles"),
        roles("OIDC_ROLES", ","),
    )


def roles(name: str, separator: str) -> tuple[tuple[str, str], ...]:
    """A list of VALUE=ROLE; the value may have an equals sign itself."""
    pairs = [pair for pair in text(name).split(separator) if pair.strip()]
    return tuple(_role_of(name, separator, pair.strip()) for pair in pairs)


def _role_of(name: str, separator: str, pair: str) -> tuple[str, str]:
    value, _, role = (part.strip() for part in pair.rpartition("="))
    if not value or role.lower() not in ROLES:
        refuse(
            f"{name} must be VALUE=ROLE, separated by '{separator}', each role one of "
            f"{', '.join(ROLES)}, not {pair!r}."
        )
    return value, role.lower()
