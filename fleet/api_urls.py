"""The API of what exists."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
