"""The API of what happens."""
from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
