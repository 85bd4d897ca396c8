"""The pages of 50,000 handsets, and of 100,000, on PostgreSQL: at the server, and until painted.

At the server: from the request's first byte to the answer's last, over loopback, median of seven.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from time import perf_counter

from playwright.sync_api import Page, sync_playwright

from benchmarks.figure import Figure
from benchmarks.installation import installation, logged_in
from benchmarks.sizes import size
from tests.support import parts
from tests.support.product import ADMIN, PASSWORD, Product

HANDSETS = 50_000
MORE = size("HANDSETS", 100_000)
"""With so many the same is wished for."""
TIMES = 7
OVERVIEW_MS, TABLE_MS, PAINTED_MS = 200.0, 150.0, 1000.0
FILTERS = (
    "",
    "state=primary",
    "state=secondary",
    "state=unknown",
    "group=3",
    "site=2",
    "server=7",
    "silent=true",
    "tag=icu",
    "q=4711",
    "q=Cardiology",
    "q=00907a00",
    "sort=-since",
    "sort=server",
)
OTHERS = (
    "/handsets/?page=500",
    "/wallboard/",
    "/groups/",
    "/groups/3/",
    "/handsets/77/",
    "/history/",
    "/jobs/",
)
PAINTED = """() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"""


def measure() -> Iterator[Figure]:
    """Yield the milliseconds of each page, at the size promised and at the one wished for."""
    for figure in _of(HANDSETS):
        yield replace(figure, size=HANDSETS)
    for figure in _of(MORE):
        yield replace(figure, size=MORE, at_most=None, goal=figure.at_most)


def _of(handsets: int) -> Iterator[Figure]:
    with installation(handsets) as product:
        served = server(product)
        yield Figure("overview", served("/"), "ms", at_most=OVERVIEW_MS)
        for query in FILTERS:
            name = f"handsets, {query or 'no filter'}"
            yield Figure(name, served(f"/handsets/?{query}"), "ms", at_most=TABLE_MS)
        for path in OTHERS:
            yield Figure(path, served(path), "ms")
        yield from _painted(product)


def server(product: Product) -> Callable[[str], float]:
    """Return what takes the time of a page there, in milliseconds."""
    client = logged_in(product)

    def served(path: str) -> float:
        taken = []
        for _ in range(TIMES + 1):
            begun = perf_counter()
            client.open(f"{product.url}{path}").read()
            taken.append(1000 * (perf_counter() - begun))
        return median(taken[1:])

    return served


def _painted(product: Product) -> Iterator[Figure]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=parts.need("chromium"), args=["--disable-gpu"]
        )
        page = browser.new_page()
        log_in(page, product)
        for path in ("/", "/handsets/", "/handsets/?state=secondary", "/handsets/?q=Cardiology"):
            page.goto(f"{product.url}{path}")
            painted = page.wait_for_function(PAINTED).json_value()
            yield Figure(f"{path} painted", painted, "ms", at_most=PAINTED_MS)
        browser.close()


def log_in(page: Page, product: Product) -> None:
    """Log in by the form, as the admin."""
    page.goto(f"{product.url}/accounts/login/")
    page.get_by_label("User name").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{product.url}/")
