"""Whether what was compiled of our code (`make compile`) is of the sources that lie beside it."""

import hashlib
import json
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from fleet.build import ROOMS, ROOT

PATTERN = "*.cpython-*.so"
MANIFEST = "registrations/compiled.json"
"""What `.ci/compile.py` writes: of which bytes each module was compiled."""


def outdated(root: Path = ROOT) -> list[str]:
    """Return the sources that were changed, or are gone, since they were compiled."""
    compiled = [path for room in ROOMS for path in (root / room).rglob(PATTERN)]
    if not compiled:
        return []
    manifest = root / MANIFEST
    known = json.loads(manifest.read_text()) if manifest.exists() else {}
    sources = [path.with_name(path.name.partition(".")[0] + ".py") for path in compiled]
    named = {str(source.relative_to(root)): source for source in sources}
    return sorted(name for name, source in named.items() if known.get(name) != _digest(source))


def _digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest() if source.exists() else ""


def check() -> None:
    """Raises ImproperlyConfigured where other code would run than the sources say."""
    if changed := outdated():
        raise ImproperlyConfigured(
            f"{changed[0]} was changed after it was compiled: run `make compile` again, or "
            "`make interpreted` to do without."
        )
