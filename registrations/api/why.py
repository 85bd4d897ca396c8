"""What the API says of one registration's reasons, described for the OpenAPI schema."""

from typing import Any

from rest_framework import serializers

from fleet.bodies import KnownFields
from registrations import queries
from registrations.explaining import WaitsFor
from registrations.models import State


class ServerRef(serializers.Serializer[Any]):
    """Which server, in a row."""

    id = serializers.IntegerField()
    address = serializers.CharField()
    port = serializers.IntegerField()


class NamedServer(ServerRef):
    """Which server, as the group knows it."""

    name = serializers.CharField()
    priority = serializers.IntegerField()


class LeftAlone(serializers.Serializer[Any]):
    """A server that is not asked before a time."""

    server = NamedServer(allow_null=True)
    until = serializers.DateTimeField()


class BindingWhy(serializers.Serializer[Any]):
    """One registration of a line: a fallback group has one per server."""

    server = NamedServer(allow_null=True, help_text="Where it is bound.")
    target = serializers.CharField(allow_blank=True)
    phase = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    waits_for = serializers.ChoiceField(choices=[(each.value, each.value) for each in WaitsFor])
    sentence = serializers.CharField(help_text="What it waits for, in words.")
    next_at = serializers.DateTimeField(allow_null=True)
    next_server = NamedServer(allow_null=True)
    next_target = serializers.CharField(allow_blank=True)
    never_comes_home_by_time = serializers.BooleanField()
    failures = serializers.IntegerField()
    refusals = serializers.IntegerField()
    left_alone = LeftAlone(many=True)


class AnswerWhy(serializers.Serializer[Any]):
    """The last answer of one server to this line."""

    server = NamedServer()
    at = serializers.DateTimeField()
    verdict = serializers.CharField()
    code = serializers.IntegerField(allow_null=True)
    answer = serializers.CharField(allow_blank=True, help_text="The raw code and reason.")
    sentence = serializers.CharField(allow_blank=True)


class Why(serializers.Serializer[Any]):
    """Why a line is where it is, from its agent's own memory.

    Where `state` is unknown, the rest is what was known last, and its sentences say so.
    """

    registration = serializers.IntegerField()
    state = serializers.ChoiceField(choices=State.choices)
    state_word = serializers.CharField()
    server = NamedServer(allow_null=True)
    target = serializers.CharField(
        allow_blank=True, help_text="Which place of that server's name holds it."
    )
    assumed_on = NamedServer(allow_null=True)
    since = serializers.DateTimeField()
    cause = serializers.ChoiceField(
        choices=tuple(queries.CAUSES.items()),
        allow_blank=True,
        help_text="Empty while no agent has run.",
    )
    cause_word = serializers.CharField(allow_blank=True)
    rule = serializers.CharField(help_text="The rule that put it there.")
    rule_parameters = serializers.ListField(child=serializers.CharField())
    way_home = serializers.CharField(
        allow_blank=True,
        help_text="How the group brings it home by itself; empty at home and while it is unknown.",
    )
    reason = serializers.CharField(allow_blank=True, help_text="What happened then.")
    at_work = serializers.BooleanField(help_text="A worker is at it now.")
    network_suspected = serializers.BooleanField(
        help_text="All servers of its site fell silent at once: nothing moves there."
    )
    waits_for = serializers.CharField(allow_blank=True)
    next_at = serializers.DateTimeField(allow_null=True)
    next_server = NamedServer(allow_null=True)
    bindings = BindingWhy(many=True)
    answers = AnswerWhy(many=True)


class Override(KnownFields, serializers.Serializer[Any]):
    """Whoever overrides names whom."""

    extension = serializers.CharField(help_text="The line's extension.")
