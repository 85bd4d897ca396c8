"""The URL map: pages, API, log-in, Django's admin."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from django.views.decorators.http import require_http_methods

from fleet import views

handler400 = "fleet.faults.bad_request"
handler403 = "fleet.faults.forbidden"
handler404 = "fleet.faults.not_found"
handler500 = "fleet.faults.broken"

urlpatterns = [
    path("", include("registrations.urls")),
    path("", include("registrations.health")),
    path("api/v1/", include("registrations.api.urls")),
    path("api/v1/", include("fleet.api_urls")),
    path(
        "accounts/login/",
        require_http_methods(["GET", "HEAD", "POST"])(
            auth_views.LoginView.as_view(redirect_authenticated_user=True)
        ),
        name="login",
    ),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("accounts/times/", views.times, name="times"),
    path("admin/", admin.site.urls),
]
