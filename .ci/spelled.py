"""Spells out for the compiler what it cannot know: how values are made, and what is constant.

What `dataclass` writes stays interpreted: a constructor that is machine code costs a sixth of one
that is not, and a class with a decorator that the compiler does not know is slow to read, too. A
constant that may change is looked up by its name wherever it is used. Lines keep their numbers.
"""

import ast

RECORD = "from registrations.records import record"
KNOWN = "from dataclasses import dataclass as record"
FINAL = "from typing import Final; "


def spelled(source: str) -> str:
    """Return the source with a constructor for each class of values, and constants that are final.

    Raises ValueError.
    """
    lines = source.splitlines()
    tree = ast.parse(source)
    _settle(lines, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                if options := _options(decorator):
                    at = decorator.lineno - 1
                    lines[at] = f"@{_name(decorator)}({options})"
                    _add(lines, node)
    return "\n".join(lines).replace(RECORD, KNOWN) + "\n"


def _settle(lines: list[str], tree: ast.Module) -> None:
    """Say of a module's constants that they are; those it puts together piece by piece are not."""
    pieced = {ast.unparse(each.target) for each in tree.body if isinstance(each, ast.AugAssign)}
    settled = [at for node in tree.body if (at := _finally(lines, node, pieced)) is not None]
    if settled:
        lines[settled[0]] = FINAL + lines[settled[0]]


def _finally(lines: list[str], node: ast.stmt, pieced: set[str]) -> int | None:
    """Make its constants final; return where, None where it has none."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return None
    at, (target, *others) = node.lineno - 1, _targets(node)
    names = [ast.unparse(each) for each in getattr(target, "elts", [target])]
    if others or not all(_is_constant(name) for name in names) or pieced & {*names}:
        return None
    if isinstance(node, ast.AnnAssign):
        kind = ast.unparse(node.annotation)
        lines[at] = f"{names[0]}: Final[{kind}]{lines[at][node.annotation.end_col_offset :]}"
    elif len(names) == 1:
        lines[at] = f"{names[0]}: Final{lines[at][target.end_col_offset :]}"
    elif isinstance(node.value, ast.Tuple) and node.end_lineno == node.lineno:
        pairs = zip(names, node.value.elts, strict=True)
        lines[at] = "; ".join(f"{name}: Final = {ast.unparse(value)}" for name, value in pairs)
    else:
        return None
    return at


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _is_constant(name: str) -> bool:
    """Durations are not: tests stretch them."""
    return name.isidentifier() and name.isupper() and not name.endswith("_S")


def _name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.id if isinstance(called, ast.Name) else ""


def _options(decorator: ast.expr) -> str:
    """What the decorator is to be told instead; '' where it makes no class of values."""
    if _name(decorator) not in ("record", "dataclass"):
        return ""
    given = {}
    if isinstance(decorator, ast.Call):
        given = {each.arg: ast.unparse(each.value) for each in decorator.keywords}
    more = "".join(f", {key}={given[key]}" for key in ("eq", "order") if key in given)
    # The type checker has seen that nothing changes a frozen one: it only must have a hash.
    is_hashed = given.get("frozen") == "True" and "eq" not in given
    return "init=False" + (", unsafe_hash=True" if is_hashed else "") + more


def _add(lines: list[str], node: ast.ClassDef) -> None:
    """Write the constructor into the blank line behind the class."""
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    if any(isinstance(each, ast.FunctionDef) and each.name == "__init__" for each in node.body):
        raise ValueError(f"{node.name} has a constructor of its own")
    given, kept = ["self"], []
    for each in fields:
        parameter, value = _parameter(each)
        given.append(parameter)
        kept.append(f"self.{ast.unparse(each.target)} = {value}")
    end = node.end_lineno or 0
    while len(lines) <= end:
        lines.append("")
    if lines[end]:
        raise ValueError(f"there is no blank line behind {node.name}")
    lines[end] = f"    def __init__({', '.join(given)}) -> None: {'; '.join(kept)}"


def _parameter(field: ast.AnnAssign) -> tuple[str, str]:
    """A field as a parameter, and what is kept of it."""
    name, kind = ast.unparse(field.target), ast.unparse(field.annotation)
    default = field.value
    if default is None:
        return f"{name}: {kind}", name
    if not (isinstance(default, ast.Call) and ast.unparse(default.func) == "field"):
        return f"{name}: {kind} = {ast.unparse(default)}", name
    told = {each.arg: ast.unparse(each.value) for each in default.keywords}
    if "init" in told:
        raise ValueError(f"{name} is no parameter")
    if factory := told.get("default_factory"):
        return f"{name}: {kind} | None = None", f"{factory}() if {name} is None else {name}"
    return f"{name}: {kind}" + (f" = {told['default']}" if "default" in told else ""), name
