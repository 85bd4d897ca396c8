"""The API of the audit log: it is read, and nothing else."""

from typing import Any

from auditlog.models import LogEntry
from rest_framework import mixins, serializers, viewsets

from fleet import audit_log
from fleet.api_lists import Pages
from fleet.roles import Role


class EntrySerializer(serializers.Serializer[LogEntry]):
    """One change or act: who, from where, with what, and what it was before and after."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    by = serializers.CharField(help_text="Empty: Rollcall itself, or a command.")
    from_address = serializers.CharField()
    token = serializers.CharField(help_text="The name of the API token; empty: none.")
    session = serializers.CharField(help_text="Tells sessions apart, and opens none.")
    request = serializers.CharField(help_text="The request's id, as log lines have it.")
    did = serializers.CharField()
    kind = serializers.CharField()
    object_id = serializers.IntegerField(allow_null=True)
    object = serializers.CharField()
    changes = serializers.DictField(help_text="[before, after] by field")

    def to_representation(self, instance: LogEntry) -> dict[str, Any]:
        return audit_log.row(instance)


class AuditViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[LogEntry]):
    """Newest first; kept for good."""

    queryset = LogEntry.objects.select_related("actor", "content_type").order_by("-pk")
    serializer_class = EntrySerializer
    filterset_class = audit_log.EntryFilter
    pagination_class = Pages
    required_roles = {"GET": Role.ADMIN}
