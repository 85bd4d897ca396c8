"""The OpenAPI schema: valid, and nothing that it permits breaks anything, whoever sends it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fleet import import_orders, throttling
from fleet.models import Line
from fleet.roles import Role
from registrations import wallboards
from registrations.models import Registration, SavedView
from tests.support import pages, rows

EXAMPLES = {"sqlite": 3, "postgresql": 4}
ASKERS = {"nobody": None, **{role.word: role for role in Role}}
ON = {"sqlite": list(ASKERS), "postgresql": [Role.ADMIN.word]}
"""Who asks on which database: whom a role stops is stopped before either."""


def ids() -> dict[str, Any]:
    """A thing of each kind, by the first word of its address or by the name of its field."""
    made = pages.make_fleet()
    row = Registration.objects.order_by("pk").first()
    assert row is not None
    change = rows.make_server_change(row.group.servers.get(priority=1))
    wallboards.make("ward", [], [], by="admin")
    SavedView.objects.create(slug="ours", name="Ours", is_shared=True)
    return {
        "sites": row.site_id,
        "groups": row.group_id,
        "servers": made["server"],
        "handsets": made["handset"],
        "lines": Line.objects.values_list("pk", flat=True)[0],
        "registrations": row.pk,
        "transitions": rows.make_transition(row).pk,
        "server-changes": change.pk,
        "failbacks": made["job"],
        "drills": made["drill"],
        "imports": import_orders.order([("h.csv", b"mac\n1\n")], by="admin").pk,
        "wallboards": 1,
        "views": "ours",
        "users": rows.make_user("guest", Role.VIEWER).pk,
    }


def described() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return found


def test_the_schema_is_valid_and_tells_every_operation_apart() -> None:
    found = described()
    validate_schema(found)
    told = [op["operationId"] for path in found["paths"].values() for op in path.values()]
    assert len(told) == len(set(told)) > 90


def test_every_change_says_how_it_is_guarded() -> None:
    for path, operations in described()["paths"].items():
        for method in operations.keys() & {"put", "patch"}:
            told = operations[method]
            assert "If-Match" in [given["name"] for given in told["parameters"]], path
            assert {"412", "428"} <= told["responses"].keys(), path


@pytest.fixture
def keys() -> dict[str, str]:
    users = {word: rows.make_user(word, role) for word, role in ASKERS.items() if role}
    return {word: rows.make_token(user) for word, user in users.items()}


def operations() -> Iterator[Any]:
    schema = schemathesis.openapi.from_dict(described())
    schema.app = get_wsgi_application()
    for found in schema.get_all_operations():
        yield found.ok()


def aimed(case: Any, real: dict[str, Any], data: Any) -> Any:
    """Let a part of what is generated at random mean what there is."""
    kind = case.path.removeprefix("/api/v1/").split("/")[0]
    if case.path_parameters and kind in real and data.draw(st.integers(0, 3)):
        case.path_parameters = {name: real[kind] for name in case.path_parameters}
    if isinstance(case.body, dict) and data.draw(st.booleans()):
        for name in case.body.keys() & {"group", "site", "handset", "server"}:
            case.body[name] = real[f"{name}s"]
    return case


@pytest.mark.timeout(600)
def test_nothing_that_the_schema_permits_breaks_anything(
    database: str, live_redis: str, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttling, "READS", 10**9)
    monkeypatch.setattr(throttling, "WRITES", 10**9)
    real = ids()
    broken: list[str] = []
    answers: Counter[int] = Counter()

    def ask(operation: Any) -> None:
        @seed(2026)
        @settings(
            max_examples=EXAMPLES[database],
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), data=st.data())
        def each(case: Any, data: Any) -> None:
            case = aimed(case, real, data)
            for asker in ON[database]:
                given_key = {"Authorization": f"Token {keys[asker]}"} if asker in keys else {}
                answer = case.call(base_url="http://localhost", headers=given_key)
                answers[answer.status_code] += 1
                if answer.status_code >= 500 and answer.status_code != 503:
                    broken.append(f"{asker}: {case.as_curl_command()}")

        each()

    for operation in operations():
        ask(operation)
    assert broken == []
    assert answers.keys() >= {200, 201, 204, 400, 404, 412}, answers
