"""The policy's parameters as fields of the API: read by the files' rules, named as in the guide."""

from typing import Any

from rest_framework import serializers

from fleet.formats.policy import Kind, Parameter, our_name


class _ByTheGuide(serializers.Field[Any, Any, Any, Any]):
    """Reads one policy parameter, so that a refusal names it and its permitted values."""

    parameter: Parameter

    def to_internal_value(self, data: Any) -> Any:
        try:
            if not isinstance(data, bool | int | str):
                raise ValueError(f"{self.parameter.name} must be {self.parameter.permitted}.")
            return self.parameter.read(data)
        except ValueError as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong


class _Switch(_ByTheGuide, serializers.BooleanField):
    pass


class _Number(_ByTheGuide, serializers.IntegerField):
    pass


class _Choice(_ByTheGuide, serializers.ChoiceField):
    pass


_FIELDS = {Kind.SWITCH: _Switch, Kind.NUMBER: _Number, Kind.CHOICE: _Choice}


def field(parameter: Parameter) -> serializers.Field[Any, Any, Any, Any]:
    """The field of one policy parameter; its help says what the guide calls it."""
    name = f" In the handset's guide: {parameter.guide_name}." if parameter.guide_name else ""
    help_text = f"{parameter.meaning} {parameter.permitted.capitalize()}.{name}"
    given = {"choices": parameter.choices} if parameter.kind is Kind.CHOICE else {}
    made = _FIELDS[parameter.kind](required=False, help_text=help_text, **given)
    made.parameter = parameter
    return made


def in_our_names(data: Any) -> Any:
    """Return a request's body with the guide's names of parameters replaced by ours.

    Raises ValidationError where one is set under two names.
    """
    if not isinstance(data, dict):
        return data
    ours: dict[Any, Any] = {}
    for name, value in data.items():
        known = our_name(name) if isinstance(name, str) else name
        if known in ours:
            raise serializers.ValidationError({name: [f"This is {known}, which is set twice."]})
        ours[known] = value
    return ours
