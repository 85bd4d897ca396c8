"""The URL map: pages, API, log-in, Django's admin."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from django.views.decorators.http import require_http_methods

from fleet import oidc
from fleet.views import password, single_sign_on, times, tokens, users

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
            auth_views.LoginView.as_view(
                redirect_authenticated_user=True,
                extra_context={"single_sign_on": oidc.is_offered, "directory": settings.LDAP.url},
            )
        ),
        name="login",
    ),
    path("accounts/oidc/", single_sign_on.oidc_begin, name="oidc"),
    path("accounts/oidc/return/", single_sign_on.oidc_return, name="oidc_return"),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("accounts/times/", times.times, name="times"),
    path("accounts/password/", password.password, name="password"),
    path("accounts/sessions/end/", password.sign_out_everywhere, name="sign_out_everywhere"),
    path("users/", users.users_page, name="users"),
    path("users/<int:pk>/role/", users.user_role, name="user_role"),
    path("users/<int:pk>/sites/", users.user_sites, name="user_sites"),
    path("users/<int:pk>/password/", users.user_reset, name="user_reset"),
    path("users/<int:pk>/active/", users.user_active, name="user_active"),
    path("users/<int:pk>/sessions/end/", users.user_end_sessions, name="user_end_sessions"),
    path("accounts/tokens/", tokens.tokens_page, name="tokens"),
    path("accounts/tokens/<int:pk>/revoke/", tokens.token_revoke, name="token_revoke"),
    path("admin/", admin.site.urls),
]
