"""The API of what happens, under /api/v1/."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from fleet.roles import RolePermission
from registrations.api import (
    alerts,
    between,
    census,
    changing,
    drains,
    drills,
    exporting,
    exports,
    files,
    history,
    incidents,
    jobs,
    notifications,
    policy_preview,
    readiness,
    registrations,
    resuming,
    saved_views,
    trace,
    wallboards,
)

router = SimpleRouter()
router.register("registrations", registrations.RegistrationViewSet, basename="api-registration")
router.register("transitions", history.TransitionViewSet, basename="api-transition")
router.register("server-changes", census.ServerChangeViewSet, basename="api-server-change")
router.register("drains", drains.DrainViewSet, basename="api-drain")
router.register("drills", drills.DrillViewSet, basename="api-drill")
router.register("quiet-hours", drains.QuietHoursViewSet, basename="api-quiet-hours")
router.register("exports", exporting.ExportViewSet, basename="api-export")
router.register("incidents", incidents.IncidentViewSet, basename="api-incident")
router.register("incident-limits", alerts.LimitViewSet, basename="api-incident-limit")
router.register("alert-rules", alerts.RuleViewSet, basename="api-alert-rule")
router.register("channels", alerts.ChannelViewSet, basename="api-channel")
router.register("deliveries", incidents.DeliveryViewSet, basename="api-delivery")
router.register("maintenance", alerts.MaintenanceViewSet, basename="api-maintenance")
router.register("findings", readiness.FindingViewSet, basename="api-finding")
router.register("readiness", readiness.ReadinessViewSet, basename="api-readiness")
router.register("failbacks", jobs.FailbackViewSet, basename="api-failback")
router.register(
    "notification-addresses",
    notifications.NotificationAddressViewSet,
    basename="api-notification-address",
)
router.register("views", saved_views.ViewViewSet, basename="api-view")
router.register("wallboards", wallboards.ScreenViewSet, basename="api-wallboard")

urlpatterns = [
    path(
        "schema/",
        SpectacularAPIView.as_view(permission_classes=[RolePermission]),
        name="api-schema",
    ),
    path("registrations/<int:pk>/trace/", trace.TraceView.as_view(), name="api-trace"),
    path("registrations/change/", changing.ChangeView.as_view(), name="api-change"),
    path("registrations/resume/", resuming.ResumeView.as_view(), name="api-resume"),
    path("between/", between.BetweenView.as_view(), name="api-between"),
    path("fleet/", files.FleetFileView.as_view(), name="api-fleet-file"),
    path(
        "groups/<int:pk>/preview/",
        policy_preview.PolicyPreviewView.as_view(),
        name="api-policy-preview",
    ),
    path("groups/<int:pk>/site.cfg", files.SiteCfgView.as_view(), name="api-site-cfg"),
    path("summary/", registrations.SummaryView.as_view(), name="api-summary"),
    path("servers/<int:pk>/outage/", census.OutageView.as_view(), name="api-outage"),
    path(
        "readiness/summary/",
        readiness.ReadinessSummary.as_view(),
        name="api-readiness-summary",
    ),
    path("readiness/trend/", readiness.ReadinessTrend.as_view(), name="api-readiness-trend"),
    path("readiness/export/", readiness.ReadinessExport.as_view(), name="api-readiness-export"),
    path("census/", census.CensusView.as_view(), name="api-census"),
    path(
        "registrations/export/",
        exports.RegistrationExport.as_view(),
        name="api-registration-export",
    ),
    path("reports/export/", exports.ReportExport.as_view(), name="api-report-export"),
    path("incidents/export/", incidents.IncidentExport.as_view(), name="api-incident-export"),
    path(
        "transitions/export/",
        exports.TransitionExport.as_view(),
        name="api-transition-export",
    ),
    path("", include(router.urls)),
]
