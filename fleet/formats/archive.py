"""A zip to the files in it: its size, names and growth are bounded, whatever its directory says."""

import io
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

from fleet.formats.decoding import MAX_BYTES, MAX_TOGETHER, Unreadable

MOST_FILES = 200_000

_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError),
    *(EOFError, ValueError, OSError, OverflowError, LookupError),
)
"""What the library raises over archives that are torn, one way or another."""


def read(data: bytes, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file whose name is `wanted`. Raises Unreadable."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES:
                raise Unreadable(f"The archive has more than {MOST_FILES} files.")
            left = MAX_TOGETHER
            for entry in entries:
                _check(entry)
                if entry.is_dir() or not wanted(entry.filename):
                    continue
                content = _content(archive, entry, left)
                left -= len(content)
                yield entry.filename, content
    except Unreadable:
        raise
    except _DAMAGES as error:
        raise Unreadable("This is not a zip archive, or it is damaged.") from error


def _check(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\x00" in name:
        raise Unreadable(f"The archive has a file outside of itself, {name[:80]!r}: not read.")
    if entry.flag_bits & 1:
        raise Unreadable("The archive is locked by a password.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # The others may ask for gigabytes of memory before the first byte.
        raise Unreadable("The archive is packed in a way nobody here unpacks.")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    """Unpack one file, and no further than is permitted: its directory may lie about its size."""
    name = posixpath.basename(entry.filename)[:80]
    with archive.open(entry) as file:
        content = file.read(min(MAX_BYTES, left) + 1)
    if len(content) > MAX_BYTES:
        raise Unreadable(f"{name} in the archive is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    if len(content) > left:
        raise Unreadable(f"The archive unpacks to more than {MAX_TOGETHER // 1024 // 1024} MiB.")
    return content
