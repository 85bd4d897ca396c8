"""The shape of the source: small modules, small functions, each saying what it is for."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path
    for folder in ("fleet", "registrations", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40

ENVIRONMENT = (
    "DATABASE_URL REDIS_URL SECRET_KEY CREDENTIALS_KEY ALLOWED_HOSTS BIND PORT DATA_DIR WORKERS "
    "SIP_CONTACT DEMO ADMIN_PASSWORD"
).split()
"""The environment variables others rely on."""

COMMANDS = "import_fleet fleet_status failback export_history registrar create_token".split()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_short_and_says_what_it_owns(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no module docstring"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    long = {
        node.name: length
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not long


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_the_readme_names_every_environment_variable(variable: str) -> None:
    assert f"`{variable}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_names_every_command(command: str) -> None:
    assert re.search(rf"\b{command}\b", (ROOT / "README.md").read_text())


def test_every_variable_the_settings_read_stands_in_the_readme() -> None:
    """Found in the source, so that a new one cannot be forgotten."""
    reader = re.compile(r"""\b(?:text|words|number|flag|host_port|secret)\(\s*"([A-Z][A-Z_]+)\"""")
    sources = [ROOT / "fleet/config/settings.py", ROOT / "fleet/config/env.py"]
    read = {name for source in sources for name in reader.findall(source.read_text())}
    assert read >= {"DATA_DIR", "PORT", "SECRET_KEY"}, "the pattern no longer fits the settings"
    readme = (ROOT / "README.md").read_text()
    assert sorted(name for name in read if f"`{name}`" not in readme) == []
