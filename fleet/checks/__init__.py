"""What is wrong with an installation, in sentences that name the variable and what to do.

`manage.py check` judges the variables by themselves; with `--deploy` also what is fit for a look
and not for production; with `--database default` also the stores, by asking them. `prepare` and
`up` ask all of it at each start: an error stops them, a warning is told.
"""

from collections.abc import Sequence

from django.core import checks

from fleet.checks import stores, variables

OURS = "rollcall."
"""What the ids of these checks begin with."""


def register() -> None:
    """Register every check with Django."""
    for check in variables.ALWAYS:
        checks.register(check)
    for check in variables.IN_PRODUCTION:
        checks.register(check, checks.Tags.security, deploy=True)
    for check in stores.ALL:
        checks.register(check, checks.Tags.database)


def at_start() -> tuple[list[str], list[str]]:
    """Return the errors and the warnings about this installation, its stores included."""
    return _told([*variables.ALWAYS, *stores.ALL])


def of_worker() -> list[str]:
    """Return the errors a worker must not start with."""
    return _told(stores.OF_WORKER)[0]


def _told(asked: Sequence[variables.Check]) -> tuple[list[str], list[str]]:
    found = [each for check in asked for each in check(databases=["default"])]
    errors = [each for each in found if each.is_serious()]
    return [_said(each) for each in errors], [_said(e) for e in found if e not in errors]


def _said(message: checks.CheckMessage) -> str:
    return f"{message.msg} {message.hint}" if message.hint else str(message.msg)
