"""The API of what exists, under /api/v1/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from fleet import api, api_imports

router = SimpleRouter()
router.register("sites", api.SiteViewSet, basename="api-site")
router.register("groups", api.GroupViewSet, basename="api-group")
router.register("servers", api.ServerViewSet, basename="api-server")
router.register("handsets", api.HandsetViewSet, basename="api-handset")
router.register("lines", api.LineViewSet, basename="api-line")

urlpatterns = [
    path("imports/", api_imports.ImportView.as_view(), name="api-import"),
    path("", include(router.urls)),
]
