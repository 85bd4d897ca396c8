"""The pages."""

from django.urls import path

from registrations.views import (
    demo,
    groups,
    handset,
    handsets,
    history,
    jobs,
    overview,
    policy,
    wallboard,
    wishes,
)

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("moves/", overview.moves, name="moves"),
    path("handsets/", handsets.handsets, name="handsets"),
    path("handsets/<int:pk>/", handset.handset, name="handset"),
    path("handsets/mac/<str:mac>/", handset.handset_by_mac, name="handset_by_mac"),
    path("registrations/<int:pk>/resume/", wishes.resume, name="resume"),
    path("registrations/<int:pk>/override/", wishes.override, name="override"),
    path("groups/", groups.groups, name="groups"),
    path("groups/<int:pk>/", groups.group, name="group"),
    path("groups/<int:pk>/policy/", policy.policy, name="policy"),
    path("history/", history.history, name="history"),
    path("jobs/", jobs.listing, name="jobs"),
    path("jobs/new/", jobs.job_new, name="job_new"),
    path("jobs/<int:pk>/", jobs.job, name="job"),
    path("jobs/<int:pk>/pause/", jobs.job_pause, name="job_pause"),
    path("jobs/<int:pk>/resume/", jobs.job_resume, name="job_resume"),
    path("jobs/<int:pk>/cancel/", jobs.job_cancel, name="job_cancel"),
    path("jobs/<int:pk>/rollback/", jobs.job_roll_back, name="job_roll_back"),
    path("wallboard/", wallboard.wallboard, name="wallboard"),
    path("wallboards/", wallboard.wallboard_tokens, name="wallboard_tokens"),
    path("wallboards/<int:pk>/revoke/", wallboard.wallboard_revoke, name="wallboard_revoke"),
    path("wallboard/<str:key>/", wallboard.wallboard_of_token, name="wallboard_of_token"),
    path("demo/servers/<str:server_id>/<str:action>/", demo.demo_server, name="demo_server"),
]
