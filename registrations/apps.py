"""The app that knows what happens: registrations, transitions, failbacks."""

from django.apps import AppConfig


class RegistrationsConfig(AppConfig):
    name = "registrations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models exist only now.
        from auditlog.registry import auditlog
        from django.db.models.signals import pre_delete

        from fleet.signals import fleet_changed
        from registrations import services
        from registrations.models import Registration, WallboardToken

        kept = {"exclude_fields": ["digest", "used_at"], "m2m_fields": {"groups", "sites"}}
        auditlog.register(WallboardToken, **kept)

        fleet_changed.connect(services.on_fleet_changed, dispatch_uid="registrations.services")
        pre_delete.connect(services.on_removed, Registration, dispatch_uid="registrations.removed")
