"""The API of what exists, under /api/v1/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from fleet import (
    api,
    api_audit,
    api_bulk,
    api_first_run,
    api_import_jobs,
    api_imports,
    api_provenance,
    api_tokens,
    api_users,
)

router = SimpleRouter()
router.register("sites", api.SiteViewSet, basename="api-site")
router.register("groups", api.GroupViewSet, basename="api-group")
router.register("servers", api.ServerViewSet, basename="api-server")
router.register("handsets", api.HandsetViewSet, basename="api-handset")
router.register("lines", api.LineViewSet, basename="api-line")
router.register("imports/jobs", api_import_jobs.ImportJobViewSet, basename="api-import-job")
router.register("audit", api_audit.AuditViewSet, basename="api-audit")
router.register("tokens", api_tokens.TokenViewSet, basename="api-token")
router.register("users", api_users.UserViewSet, basename="api-user")

urlpatterns = [
    path("handsets/bulk/", api_bulk.BulkView.as_view(), name="api-handset-bulk"),
    path("groups/<int:pk>/provenance/", api_provenance.GroupProvenance.as_view()),
    path("handsets/<int:pk>/provenance/", api_provenance.HandsetProvenance.as_view()),
    path("first-run/", api_first_run.FirstRunView.as_view(), name="api-first-run"),
    path("imports/", api_imports.ImportView.as_view(), name="api-import"),
    path("", include(router.urls)),
]
