"""The pages."""

from django.urls import path

from registrations import policy_page, views, wishing

urlpatterns = [
    path("", views.overview, name="overview"),
    path("handsets/", views.handsets, name="handsets"),
    path("handsets/<int:pk>/", views.handset, name="handset"),
    path("handsets/mac/<str:mac>/", views.handset_by_mac, name="handset_by_mac"),
    path("registrations/<int:pk>/resume/", wishing.resume, name="resume"),
    path("registrations/<int:pk>/override/", wishing.override, name="override"),
    path("groups/", views.groups, name="groups"),
    path("groups/<int:pk>/", views.group, name="group"),
    path("groups/<int:pk>/policy/", policy_page.policy, name="policy"),
    path("history/", views.history, name="history"),
    path("jobs/", views.jobs, name="jobs"),
    path("jobs/new/", views.job_new, name="job_new"),
    path("jobs/<int:pk>/", views.job, name="job"),
    path("jobs/<int:pk>/cancel/", views.job_cancel, name="job_cancel"),
    path("demo/servers/<str:server_id>/<str:action>/", views.demo_server, name="demo_server"),
]
