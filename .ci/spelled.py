"""Spells out how values are made, for the compiler: what `dataclass` writes stays interpreted.

A constructor that is machine code costs a sixth of one that is not, and a class with a decorator
that the compiler does not know is slow to read, too. Lines keep their numbers.
"""

import ast

RECORD = "from registrations.records import record"
KNOWN = "from dataclasses import dataclass as record"


def spelled(source: str) -> str:
    """Return the source with a constructor for each class of values. Raises ValueError."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                if options := _options(decorator):
                    at = decorator.lineno - 1
                    lines[at] = f"@{_name(decorator)}({options})"
                    _add(lines, node)
    return "\n".join(lines).replace(RECORD, KNOWN) + "\n"


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
