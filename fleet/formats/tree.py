"""YAML to a tree whose nodes know their rows and keep every scalar as it was written.

Built from the parser's events, not by its constructor: no tag can make an object, no alias can
blow up, `0123` stays `0123`, a doubled key is seen, and depth is bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from fleet.formats.decoding import MAX_NODES, Unreadable

MAX_DEPTH = 12
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    row: int
    text: str
    is_null: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    row: int
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    row: int
    entries: dict[str, "Node"] = field(default_factory=dict)
    doubled: list[tuple[int, str]] = field(default_factory=list)
    """Row and name of keys that stand here more than once."""


Node = Scalar | Sequence | Mapping


def read(text: str) -> Node:
    """Return the root of the one document in `text`. Raises Unreadable."""
    try:
        events = _content(text)
        root = _node(next(events), events, 0)
        if next(events, None) is not None:
            raise Unreadable("The file has more than one YAML document.")
        return root
    except StopIteration as end:
        raise Unreadable("The file is empty.") from end
    except yaml.MarkedYAMLError as error:
        row = error.problem_mark.line + 1 if error.problem_mark else None
        raise Unreadable(f"This is not YAML: {error.problem}.", row) from error
    except yaml.YAMLError as error:
        raise Unreadable("This is not YAML: it has characters YAML does not permit.") from error


def _content(text: str) -> Iterator[yaml.Event]:
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if number > MAX_NODES:
            raise Unreadable(f"The file has more than {MAX_NODES} fields and values.")
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield event


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    row = event.start_mark.line + 1 if event.start_mark else 0
    if isinstance(event, yaml.AliasEvent):
        raise Unreadable("Aliases (*name) are not read; write the value out.", row)
    if depth > MAX_DEPTH:
        raise Unreadable("This is nested too deep.", row)
    tag = getattr(event, "tag", None)
    if tag not in {None, "!"}:
        raise Unreadable(f"Tags such as {str(tag)[:40]} are not read.", row)
    if isinstance(event, yaml.ScalarEvent):
        plain = event.style in {None, ""}
        return Scalar(row, event.value, plain and event.value.lower() in {"", "~", "null"})
    if isinstance(event, yaml.SequenceStartEvent):
        found = Sequence(row)
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            found.items.append(_node(inner, events, depth + 1))
        return found
    return _mapping(row, events, depth)


def _mapping(row: int, events: Iterator[yaml.Event], depth: int) -> Mapping:
    found = Mapping(row)
    while not isinstance(inner := next(events), yaml.MappingEndEvent):
        key = _node(inner, events, depth + 1)
        if not isinstance(key, Scalar):
            raise Unreadable("A key must be a word.", key.row)
        value = _node(next(events), events, depth + 1)
        if key.text in found.entries:
            found.doubled.append((key.row, key.text))
        else:
            found.entries[key.text] = value
    return found
