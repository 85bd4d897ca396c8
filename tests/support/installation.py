"""Installations that are only spoken to by their commands: nothing of them runs between two."""

import json
from pathlib import Path
from typing import Any

from tests.support.product import Product

EPHEMERAL = {"sessions.session", "registrations.exportjob", "registrations.exportpart"}
"""What no backup holds."""


class Installation(Product):
    """A folder or a database, keys of its own, and manage.py."""

    def __init__(self, home: Path, *, database_url: str = "") -> None:
        home.mkdir(parents=True, exist_ok=True)
        super().__init__(home, redis_url=f"unix://{home}/none.sock?db=0", database_url=database_url)
        if not database_url:
            # The embedded database makes its keys by itself, in DATA_DIR.
            del self.env["SECRET_KEY"], self.env["CREDENTIALS_KEY"]

    def dump(self) -> dict[str, dict[str, Any]]:
        """Every row as Django's own serializer reads it, secrets opened, by model and key."""
        path = self.home / "dump.json"
        path.unlink(missing_ok=True)
        self.manage("dumpdata", "-o", str(path))
        return by_model(json.loads(path.read_text()))


def by_model(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Django's dump, sorted out; what no backup holds is left out."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["model"] not in EPHEMERAL:
            # Kept by the database itself: one lower-cases only ASCII, the other everything.
            row["fields"].pop("search_text", None)
            found.setdefault(row["model"], {})[str(row["pk"])] = row["fields"]
    return found
