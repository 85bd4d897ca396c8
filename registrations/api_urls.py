"""The API of what happens, under /api/v1/."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from fleet.roles import RolePermission
from registrations import api, api_census, api_exports, api_history, api_jobs, api_trace

router = SimpleRouter()
router.register("registrations", api.RegistrationViewSet, basename="api-registration")
router.register("transitions", api_history.TransitionViewSet, basename="api-transition")
router.register("server-changes", api_census.ServerChangeViewSet, basename="api-server-change")
router.register("failbacks", api_jobs.FailbackViewSet, basename="api-failback")

urlpatterns = [
    path(
        "schema/",
        SpectacularAPIView.as_view(permission_classes=[RolePermission]),
        name="api-schema",
    ),
    path("registrations/<int:pk>/trace/", api_trace.TraceView.as_view(), name="api-trace"),
    path("summary/", api.SummaryView.as_view(), name="api-summary"),
    path("servers/<int:pk>/outage/", api_census.OutageView.as_view(), name="api-outage"),
    path("census/", api_census.CensusView.as_view(), name="api-census"),
    path(
        "registrations/export/",
        api_exports.RegistrationExport.as_view(),
        name="api-registration-export",
    ),
    path(
        "transitions/export/",
        api_exports.TransitionExport.as_view(),
        name="api-transition-export",
    ),
    path("", include(router.urls)),
]
