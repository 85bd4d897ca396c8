"""Whether what was compiled of our code (`make compile`) is of the sources that lie beside it."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from fleet.build import ROOMS, ROOT

PATTERN = "*.cpython-*.so"


def outdated(root: Path = ROOT) -> list[str]:
    """Return the sources that were changed, or are gone, since they were compiled."""
    changed = []
    for room in ROOMS:
        for path in (root / room).rglob(PATTERN):
            source = path.with_name(path.name.partition(".")[0] + ".py")
            if not source.exists() or source.stat().st_mtime > path.stat().st_mtime:
                changed.append(str(source.relative_to(root)))
    return sorted(changed)


def check() -> None:
    """Raises ImproperlyConfigured where other code would run than the sources say."""
    if changed := outdated():
        raise ImproperlyConfigured(
            f"{changed[0]} was changed after it was compiled: run `make compile` again, or "
            "`make interpreted` to do without."
        )
