"""The files of a provisioning server: which handsets there are, and what each of them reads.

A master file (`<mac>.cfg`, else `000000000000.cfg`) names a handset's files: the one further left
wins. What was changed at the handset or on its web page stands in the overrides and wins over all.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fleet.formats.configuration.document import Document
from fleet.formats.faults import Fault, Place

ANYBODY = "0" * 12
"""Stands for the MAC in the name of the master file of all who have none of their own."""

_OWN = re.compile(r"([0-9a-f]{12})(?:[-_.].*)?\.(?:cfg|xml)", re.ASCII | re.IGNORECASE)
_MAC = re.compile(r"\[PHONE_?MAC_?ADDRESS\]", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_LEFT_OUT = "It is left out."
_OVERRIDES = ("-phone.cfg", "-web.cfg")
"""How the names of overrides end; what was changed at the handset wins over its web page."""


@dataclass(frozen=True, slots=True, eq=False)
class Configured:
    """A handset and the files it reads, the one that wins first."""

    mac: str
    place: Place
    documents: tuple[Document, ...]


@dataclass(slots=True)
class Tree:
    """One provisioning server's files, by path."""

    documents: Mapping[str, Document]
    notes: list[Fault] = field(default_factory=list)

    def handsets(self) -> Iterator[Configured]:
        """Yield every handset that has a file of its own, by MAC."""
        for root, paths in sorted(self._roots().items()):
            yield from _Root(root, {p.casefold(): self.documents[p] for p in paths}, self).read()

    def _roots(self) -> dict[str, list[str]]:
        """Files by the folder of the master that is nearest above them."""
        masters = {posixpath.dirname(p) for p, d in self.documents.items() if d.is_master}
        found: dict[str, list[str]] = {}
        for path in sorted(self.documents):
            above = posixpath.dirname(path)
            while above not in masters and above.strip("/"):
                above = posixpath.dirname(above)
            found.setdefault(above, []).append(path)
        return found


class _Root:
    """What lies below one master file."""

    def __init__(self, folder: str, here: Mapping[str, Document], tree: Tree) -> None:
        self._folder = folder
        self._here = here
        self._notes = tree.notes
        self._own: dict[str, list[Document]] = {}
        self._shared: list[Document] = []
        self._missing: set[tuple[str, str]] = set()
        anybody = self._at(f"{ANYBODY}.cfg")
        self._anybody = anybody if anybody is not None and anybody.is_master else None
        owns = [_OWN, *_names_of_own(self._anybody)]
        for document in here.values():
            name = posixpath.basename(document.file)
            match = next((m for own in owns if (m := own.fullmatch(name))), None)
            if not document.is_master and not document.values:
                continue
            if match and match[1] != ANYBODY:
                self._own.setdefault(match[1].lower(), []).append(document)
            elif not document.is_master and not self._is_nobodys(document, name):
                self._shared.append(document)

    def _is_nobodys(self, document: Document, name: str) -> bool:
        """A template of handsets' own files, or one of a handset that no master file names so."""
        message = ""
        if _MAC.search(name):
            message = f"A template: its name stands for those of handsets' own files. {_LEFT_OUT}"
        elif _HEX.search(name) and document.lines:
            message = (
                "Looks like a handset's own file, but its name does not begin with the MAC, and no "
                f"master file names it by [PHONE_MAC_ADDRESS]. {_LEFT_OUT}"
            )
        if message:
            self._notes.append(Place(document.file).fault("", message))
        return bool(message)

    def read(self) -> Iterator[Configured]:
        anybody = self._anybody
        for mac, own in sorted(self._own.items()):
            master = next((d for d in own if d.is_master), anybody)
            read = self._without(own) if master is None else self._named(mac, own, master)
            first = next((d for d in own if not d.is_master), own[0])
            yield Configured(mac, Place(first.file, 1), tuple(read))

    def _without(self, own: Sequence[Document]) -> list[Document]:
        if self._shared and not self._missing:
            self._missing.add(("", ""))
            message = (
                "There is no master file (000000000000.cfg): a handset's own files are taken to "
                "win over the shared ones, and these in the order of their names."
            )
            self._notes.append(Place(self._shared[0].file).fault("", message))
        return [*_overriding(own), *_plain(own), *self._shared]

    def _named(self, mac: str, own: Sequence[Document], master: Document) -> list[Document]:
        read = [*_unnamed_own(mac, own)]
        for name in _config_files(master):
            asked = _MAC.sub(mac, name)
            document = self._at(asked) or self._at(_MAC.sub(mac.upper(), name))
            if document is None:
                self._miss(master, name)
            elif document not in read:
                read.append(document)
        folder = master.names.get("OVERRIDES_DIRECTORY", "").strip("/")
        above = posixpath.normpath(posixpath.join(self._folder, folder)).casefold()
        overrides = [d for d in _overriding(own) if _folder_of(d) == above and d not in read]
        return [*overrides, *read]

    def _miss(self, master: Document, name: str) -> None:
        # A handset need not have each of its own files.
        if _MAC.search(name) or (master.file, name) in self._missing:
            return
        self._missing.add((master.file, name))
        message = f"{name[:80]}, which this file names, is not here: what it says is not known."
        self._notes.append(Place(master.file).fault("CONFIG_FILES", message))

    def _at(self, name: str) -> Document | None:
        path = posixpath.normpath(posixpath.join(self._folder, name.replace("\\", "/")))
        return self._here.get(path.casefold())


def _names_of_own(master: Document | None) -> list[re.Pattern[str]]:
    """How handsets' own files are called besides: `phone[PHONE_MAC_ADDRESS].cfg`."""
    names = [] if master is None else [posixpath.basename(n) for n in _config_files(master)]
    return [
        re.compile(r"([0-9a-f]{12})".join(map(re.escape, parts)), re.ASCII | re.IGNORECASE)
        for parts in (_MAC.split(name) for name in names)
        if len(parts) == 2
    ]


def _config_files(master: Document) -> list[str]:
    """The names in the order of the file; those of one model only where there are no others."""
    general = master.names.get("CONFIG_FILES", "")
    of_models = (v for n, v in master.names.items() if n.startswith("CONFIG_FILES_") and v)
    given = general or next(of_models, "")
    return [name.strip() for name in given.split(",") if name.strip()]


def _unnamed_own(mac: str, own: Iterable[Document]) -> Iterator[Document]:
    """`<mac>.cfg` where it is no master file but has the handset's parameters itself."""
    for document in own:
        name = posixpath.basename(document.file).casefold()
        if name == f"{mac}.cfg" and not document.is_master:
            yield document


def _overriding(own: Iterable[Document]) -> list[Document]:
    """Overrides, the handset's own changes before those of its web page."""
    found = [
        (_OVERRIDES.index(ending), d.file, d)
        for d in own
        for ending in _OVERRIDES
        if d.file.casefold().endswith(ending)
    ]
    return [document for _, _, document in sorted(found, key=lambda each: each[:2])]


def _folder_of(document: Document) -> str:
    return posixpath.normpath(posixpath.dirname(document.file)).casefold()


def _plain(own: Iterable[Document]) -> list[Document]:
    return [d for d in own if not d.is_master and not d.file.casefold().endswith(_OVERRIDES)]
