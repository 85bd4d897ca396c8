"""Single sign-on in Chromium: over another site and back, under our policy and cookies."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from fleet.config.env import OpenId
from tests.registrations.live_web import whole
from tests.support.openid import CLIENT, SECRET, serving

pytestmark = pytest.mark.django_db(transaction=True)


def test_somebody_comes_in_by_another_site_and_goes_out_again(
    live_redis: str, page: Page, settings: Any
) -> None:
    web = whole()
    ours = f"http://127.0.0.1:{web.port}"
    try:
        # To a browser another name is another site, and cookies of ours are not sent there.
        with serving("localhost") as provider:
            roles = (("voice", "operator"),)
            settings.OIDC = OpenId(provider.issuer, CLIENT, SECRET, "openid", "roles", roles)
            provider.claims = {"sub": "4711", "preferred_username": "vera", "roles": ["voice"]}
            page.goto(f"{ours}/history/?cause=lost")
            page.get_by_role("link", name="Log in by single sign-on").click()
            expect(page).to_have_url(f"{ours}/history/?cause=lost")
            assert {cookie["name"] for cookie in page.context.cookies()} == {
                "sessionid",
                "csrftoken",
            }
            page.locator("summary[title=vera]").click()
            page.get_by_role("button", name="Log out", exact=True).click()
            expect(page).to_have_url(f"{ours}/accounts/login/")

            provider.claims["roles"] = []
            page.get_by_role("link", name="Log in by single sign-on").click()
            expect(page.get_by_role("alert")).to_contain_text("no role")
            assert Axe().run(page).response["violations"] == []
    finally:
        web.stop()
