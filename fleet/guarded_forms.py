"""Forms refused over what others changed meanwhile.

What a form shows it also sends back as it was shown (`seen`). Where the database holds something
else by then, somebody changed it in between: the form is refused and says what. Sent once more, it
is meant. Secrets are no part of it and are never shown.
"""

import json
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db import models

from fleet import stale

UNTOLD = frozenset({"seen", "new_password", "secret"})
"""Fields that are no fact of what is edited."""

_BOXES = {"True": "yes", "False": "no"}


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What became of one field while the form was open, in words."""

    label: str
    before: str
    now: str


class Guarded(forms.ModelForm):  # type: ignore[type-arg]
    """Knows what it showed. Whoever cleans it calls `look_for_others` last."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.before = copy(self.instance) if self.instance.pk else None
        self.meanwhile: list[Meanwhile] = []

    @property
    def told(self) -> list[str]:
        """The fields that are facts, by name."""
        return [name for name in self.fields if name not in UNTOLD]

    @property
    def seen(self) -> str:
        """What the form shows before anybody types, to be sent back with it."""
        return json.dumps({name: self._shown(name) for name in self.told})

    @property
    def seen_name(self) -> str:
        return self.add_prefix("seen")

    def _shown(self, name: str) -> str | list[str]:
        field = self.fields[name]
        shown = field.prepare_value(self.get_initial_for_field(field, name))
        if isinstance(shown, list):
            return sorted(map(str, shown))
        return "" if shown is None else str(shown)

    def look_for_others(self) -> None:
        """Refuse what was sent, and say why, where it is not about what is there now."""
        try:
            seen = json.loads(self.data.get(self.seen_name, ""))
        except ValueError:
            return
        if self.before is None or not isinstance(seen, dict):
            return
        for name in self.told:
            was, now = seen.get(name), self._shown(name)
            if name in seen and was != now:
                label = str(self[name].label)
                said = Meanwhile(label, self._word(name, was), self._word(name, now))
                self.meanwhile.append(said)
        if self.meanwhile:
            self.add_error(None, "Somebody changed this while you had it open.")

    def _word(self, name: str, value: Any) -> str:
        """A value as the form's menus word it."""
        if isinstance(value, list):
            return ", ".join(self._word(name, each) for each in value) or "nothing"
        choices: Iterable[tuple[Any, Any]] = getattr(self.fields[name], "choices", ())
        word = next((str(word) for key, word in choices if str(key) == value), str(value))
        return _BOXES.get(word, word) or "nothing"


def locked(thing: models.Model) -> Any:
    """Return it as it is now; nobody else changes it in this transaction. A new one as it is."""
    rows = type(thing)._default_manager.all()
    return thing if thing.pk is None else stale.held(rows, thing.pk, None)
