"""An export as a file, and what it is in `FILE.meta.json` beside it."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from registrations.exports.export import Export


def write(export: Export, path: Path) -> Path:
    """Write the export to `path` and return where its meta data went. Raises OSError."""
    meta = path.with_name(f"{path.name}.meta.json")
    _write(path, export)
    _write(meta, [json.dumps(export.meta, indent=2, ensure_ascii=False).encode() + b"\n"])
    return meta


def _write(path: Path, parts: Iterable[bytes]) -> None:
    """Write all of it or leave what was there: half an export must not look like a whole one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            file.writelines(parts)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
