"""The log-in page: in by user name and password, out by POST, refused in words."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"


@pytest.fixture
def nurse() -> User:
    return User.objects.create_superuser("nurse", password="night-shift-7")


def test_the_right_password_leads_to_the_page_that_was_asked_for(nurse: User) -> None:
    response = Client().post(
        LOGIN, {"username": "nurse", "password": "night-shift-7", "next": "/history/?cause=lost"}
    )
    assert (response.status_code, response.url) == (302, "/history/?cause=lost")


def test_the_page_carries_the_way_back_through_a_wrong_password(nurse: User) -> None:
    response = Client().post(
        LOGIN, {"username": "nurse", "password": "guess", "next": "/history/?cause=lost"}
    )
    page = response.content.decode()
    assert "do not fit together" in page
    assert 'name="next" value="/history/?cause=lost"' in page
    assert 'value="nurse"' in page
    assert "guess" not in page


def test_a_way_back_to_another_host_is_not_followed(nurse: User) -> None:
    response = Client().post(
        LOGIN, {"username": "nurse", "password": "night-shift-7", "next": "https://evil.example/"}
    )
    assert (response.status_code, response.url) == (302, "/")


def test_logging_out_takes_a_post_and_ends_the_session(nurse: User) -> None:
    client = Client()
    client.force_login(nurse)
    assert client.get("/accounts/logout/").status_code == 405
    client.post("/accounts/logout/")
    assert client.get("/").status_code == 302


def test_the_log_in_needs_no_script() -> None:
    page = Client().get(LOGIN).content.decode()
    assert '<form method="post">' in page
    assert "csrfmiddlewaretoken" in page
