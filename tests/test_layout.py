"""The shape of the source: small modules, small functions, each saying what it is for."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path
    for folder in ("fleet", "registrations", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40

ENVIRONMENT = [
    *("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "CREDENTIALS_KEY", "ALLOWED_HOSTS", "BIND"),
    *("PORT", "DATA_DIR", "WORKERS", "SIP_CONTACT", "DEMO", "ADMIN_PASSWORD"),
]
"""The environment variables others rely on."""

COMMANDS = [
    *("import_fleet", "fleet_status", "failback", "export_history", "registrar", "create_token"),
]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_modules_are_short_enough_to_be_read_at_once() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {n: length for n, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_every_module_says_what_it_owns() -> None:
    silent = [
        name_of(path)
        for path in MODULES
        if (text := path.read_text()).strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{name_of(path)}:{node.lineno} {node.name}": length
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


def test_the_readme_names_every_environment_variable_and_command_others_rely_on() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in ENVIRONMENT if f"`{name}`" not in readme] == []
    assert [name for name in COMMANDS if not re.search(rf"\b{name}\b", readme)] == []


def test_every_variable_the_settings_read_stands_in_the_readme() -> None:
    """Found in the source, so that a new one cannot be forgotten."""
    reader = re.compile(
        r"""\b(?:text|words|number|flag|host_port|dns_servers|secret|mail|web_address)\(\s*"([A-Z][A-Z_]+)\""""
    )
    sources = [ROOT / "fleet/config/settings.py", ROOT / "fleet/config/env.py"]
    read = {name for source in sources for name in reader.findall(source.read_text())}
    assert read >= {"DATA_DIR", "PORT", "SECRET_KEY"}, "the pattern no longer fits the settings"
    readme = (ROOT / "README.md").read_text()
    assert sorted(name for name in read if f"`{name}`" not in readme) == []
