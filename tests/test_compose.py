"""docker-compose.yml judged without Docker: what it must say of every service."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"migrate", "tools"}
"""What runs to its end."""
STORES = {"db", "redis"}
OURS = set(SERVICES) - STORES

VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::?([-?])([^}]*))?\}")
VARIABLES = {name: (kind, text) for name, kind, text in VARIABLE.findall(TEXT)}
SECRETS = {"POSTGRES_PASSWORD", "SECRET_KEY", "CREDENTIALS_KEY"}
NEEDED = {name for name, (kind, _) in VARIABLES.items() if kind == "?"}


def example() -> dict[str, str]:
    """The variables of .env.example, those that are commented out as well."""
    found = {}
    for line in (ROOT / ".env.example").read_text().splitlines():
        if match := re.fullmatch(r"#?([A-Z_]+)=(.*)", line):
            found[match[1]] = match[2]
    return found


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nobody_runs_as_root_or_may_write_to_its_image(name: str) -> None:
    service = SERVICES[name]
    assert str(service["user"]).split(":")[0] not in {"", "0", "root"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service and "cap_add" not in service


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_started_again_and_looked_after(name: str) -> None:
    service = SERVICES[name]
    if name in ONCE:
        assert service["restart"] == "no" and "healthcheck" not in service
        return
    assert service["restart"] == "unless-stopped"
    health = service["healthcheck"]
    assert health["test"][0] == "CMD" and health["interval"] and health["timeout"]
    assert service["mem_limit"]
    if name in OURS:
        # What its health check kills must not take the check with it.
        assert service["init"] is True
        assert "fleet/config/healthy.py" in health["test"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_logs_do_not_fill_the_disk(name: str) -> None:
    options = SERVICES[name]["logging"]["options"]
    assert options["max-size"] and int(options["max-file"]) > 1


def test_every_image_is_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images.append(VARIABLES["PYTHON_IMAGE"][1])
    dockerfile = (ROOT / "Dockerfile").read_text()
    images += re.findall(r"^ARG PYTHON_IMAGE=(\S+)", dockerfile, re.M)
    assert len(images) == len(SERVICES) + 2
    for image in images:
        tag = image.partition(":")[2]
        assert tag and "latest" not in tag, image


def test_the_image_gets_all_that_its_compiler_is_made_of(tmp_path: Path) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = [
        name
        for names in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.M)
        for name in names.split()
    ]
    let_in = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M)
    assert [name for name in copied if name not in let_in] == []
    (tmp_path / ".ci").mkdir()
    for name in copied:
        if name.startswith(".ci/"):
            shutil.copy(ROOT / name, tmp_path / ".ci")
    subprocess.run([sys.executable, ".ci/compile.py", "--undo"], cwd=tmp_path, check=True)


def test_secrets_have_no_default() -> None:
    assert {VARIABLES[name][0] for name in SECRETS} == {"?"}
    for name in NEEDED:
        assert f"set {name}" in VARIABLES[name][1], "the refusal names the variable"
    # Nothing that looks like one stands in the file itself.
    given = [service.get("environment", {}) for service in SERVICES.values()]
    for environment in given:
        for name, value in environment.items():
            if re.search("PASSWORD|KEY|SECRET", name):
                assert str(value).startswith("${"), name


def test_the_example_knows_every_variable_and_gives_no_secret() -> None:
    known = example()
    assert set(known) == set(VARIABLES)
    assert [name for name in NEEDED if known[name]] == []


def test_every_variable_of_the_product_can_be_set() -> None:
    """All but those that this file decides by itself: folder, demo, how many workers."""
    settings = (ROOT / "fleet/config/settings.py").read_text()
    reads = re.findall(r"""\benv\.[a-z_]+\(\s*"([A-Z_]+)\"""", settings)
    shared = re.findall(r"""\btext\("([A-Z_]+)\"""", (ROOT / "fleet/config/env.py").read_text())
    read = {*reads, *shared}
    assert "SIP_CONTACT" in read, "the pattern no longer fits the settings"
    given = set(COMPOSE["x-rollcall"]["environment"]) | set(SERVICES["migrate"]["environment"])
    # BIND and PORT of the machine are those of the published port.
    assert sorted(read - given - set(VARIABLES)) == ["DATA_DIR", "DEMO", "WORKERS"]


def test_the_operators_page_and_the_readme_tell_what_must_be_set() -> None:
    told = (ROOT / "docs/operations.md").read_text() + (ROOT / "README.md").read_text()
    assert [name for name in VARIABLES if f"`{name}`" not in told] == []


def test_nothing_begins_before_its_stores_and_its_tables() -> None:
    for name in ("web", "worker", "beat"):
        conditions = {k: v["condition"] for k, v in SERVICES[name]["depends_on"].items()}
        assert conditions == {
            "db": "service_healthy",
            "redis": "service_healthy",
            "migrate": "service_completed_successfully",
        }
    assert set(SERVICES["migrate"]["depends_on"]) == STORES


def test_only_pages_and_the_answerer_are_reached_from_outside() -> None:
    reached = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(reached) == {"web", "answerer"}
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in reached["web"])
    assert [port.rpartition("/")[2] for port in reached["answerer"]] == ["udp", "tcp"]
    assert not any("network_mode" in service for service in SERVICES.values())


def test_workers_may_be_many_and_redis_drops_nothing() -> None:
    worker = SERVICES["worker"]
    assert not {"container_name", "ports", "volumes", "hostname"} & set(worker)
    assert "worker@%h" in worker["command"], "each container has a host name of its own"
    redis = " ".join(SERVICES["redis"]["command"])
    assert "--maxmemory-policy noeviction" in redis


def compose() -> list[str]:
    """The command of either generation; skips where neither is here."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker") and not subprocess.call(
        ["docker", "compose", "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ):
        return ["docker", "compose"]
    pytest.skip("docker compose is not installed")


def config(tmp_path: Path, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What compose itself makes of the file with these variables."""
    variables = tmp_path / "variables"
    variables.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    arguments = ["--env-file", str(variables), "-f", str(ROOT / "docker-compose.yml"), "config"]
    return subprocess.run(
        [*compose(), *arguments],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_compose_itself_takes_the_file_and_names_what_is_missing(tmp_path: Path) -> None:
    whole = {name: "x1" for name in NEEDED}
    done = config(tmp_path, whole)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) >= set(SERVICES) - ONCE
    for name in sorted(NEEDED):
        done = config(tmp_path, {**whole, name: ""})
        assert done.returncode != 0
        assert f"set {name}" in done.stderr
