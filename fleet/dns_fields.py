"""A group's own DNS records as a field of the API: a list, read by the files' rules."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from fleet import dns_records
from fleet.formats import dns_cache
from fleet.formats.dns_cache import DnsRow
from fleet.models import ServerGroup


@extend_schema_field(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["type", "name"],
            "properties": {
                "type": {"type": "string", "enum": list(dns_cache.KINDS)},
                "name": {"type": "string"},
                "ttl": {"type": "integer", "default": dns_cache.TTL},
            },
            "additionalProperties": True,
        },
    }
)
class DnsCacheField(serializers.Field[Any, Any, Any, Any]):
    """Used where DNS has nothing: records of type A, SRV and NAPTR with the fields of their type.

    What is written replaces all of them.
    """

    def get_attribute(self, instance: ServerGroup) -> ServerGroup:
        return instance

    def to_representation(self, value: ServerGroup) -> list[dict[str, str | int]]:
        return [row.written() for row in dns_records.rows_of(value)]

    def to_internal_value(self, data: Any) -> list[DnsRow]:
        if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
            raise serializers.ValidationError("Write a list of records here.")
        rows: list[DnsRow] = []
        faults: list[dict[str, list[str]]] = []
        for each in data:
            row, wrong = dns_cache.read(each)
            faults.append({name: [message] for name, message in wrong.items()})
            rows += [row] if row is not None else []
        if any(faults):
            raise serializers.ValidationError(faults)
        if sentence := dns_cache.too_many(rows):
            raise serializers.ValidationError(sentence)
        return rows
