"""The app that knows what happens: registrations, transitions, failbacks."""

from django.apps import AppConfig


class RegistrationsConfig(AppConfig):
    name = "registrations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models exist only now.
        from auditlog.registry import auditlog
        from django.db.models.signals import pre_delete

        from fleet.models import Server, ServerGroup, Site
        from fleet.signals import about_to_delete, access_changed, fleet_changed
        from registrations import limits, models, services

        kept = {"exclude_fields": ["digest", "used_at"], "m2m_fields": {"groups", "sites"}}
        auditlog.register(models.WallboardToken, **kept)
        # What people ask of a job; how it goes on stands in the job itself.
        asked = ["kind", "scope", "asked_by", "abort_above_percent", "wave_size"]
        auditlog.register(
            models.Job, include_fields=[*asked, "paused_at", "cancelled_at", "rolls_back"]
        )
        ordered = ["server", "begins_at", "ends_at", "asked_by", "ended_by"]
        auditlog.register(models.Drain, include_fields=ordered)
        exercised = ["scope", "sample", "minutes", "asked_by", "ended_by", "stragglers", "digest"]
        auditlog.register(models.Drill, include_fields=exercised)
        auditlog.register(models.QuietHours)
        answered = ["acknowledged_at", "acknowledged_by", "comment"]
        auditlog.register(models.Incident, include_fields=answered)
        auditlog.register(models.IncidentLimit)
        places = {"groups", "sites"}
        auditlog.register(models.AlertRule, m2m_fields={*places, "channels"})
        auditlog.register(models.MaintenanceWindow, m2m_fields={*places, "servers"})
        masked = {"mask_fields": ["secret"], "mask_callable": "fleet.audit.mask"}
        auditlog.register(models.Channel, exclude_fields=["told"], **masked)

        fleet_changed.connect(services.on_fleet_changed, dispatch_uid="registrations.services")
        access_changed.connect(services.on_access_changed, dispatch_uid="registrations.access")
        pre_delete.connect(
            services.on_removed, models.Registration, dispatch_uid="registrations.removed"
        )
        for limit in (Server, ServerGroup, Site):
            about_to_delete.connect(limits.only_limit_of, limit, dispatch_uid="limits")
