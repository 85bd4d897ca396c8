"""500 changes a second for a minute under an open page: does it stay responsive, does it grow?"""

import subprocess
import sys
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

from benchmarks.figure import Figure
from benchmarks.installation import installation
from benchmarks.pages import HANDSETS, log_in
from tests.support import parts
from tests.support.product import ROOT, Product

PER_SECOND, SECONDS = 500, 60
WARM_UP_S = 5
LONGEST_FRAME_MS = 100.0
GROWTH = 1.2

CHANGE = f"""
import random, time
import django
django.setup()
from django.db import connection
from django.utils import timezone
from registrations import live
from registrations.models import Registration
ids = list(Registration.objects.order_by("line__handset__name").values_list("pk", flat=True))
shown, others = ids[:50], ids[50:]
for second in range({SECONDS + WARM_UP_S}):
    began = time.monotonic()
    # A tenth of them are rows that stand on the page.
    chosen = random.sample(shown, 50) + random.sample(others, {PER_SECOND - 50})
    rows = Registration.objects.filter(pk__in=chosen)
    state = "secondary" if second % 2 else "primary"
    rows.update(state=state, since=timezone.now(), heard_at=timezone.now())
    live.publish({{"id": pk}} for pk in chosen)
    time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
time.sleep(1)
"""

WATCH = """() => {
  window.frames_ = [];
  let last = performance.now();
  const tick = (now) => {
    window.frames_.push(now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""
HEAP = """async () => (window.gc?.(), performance.memory.usedJSHeapSize)"""


def measure() -> Iterator[Figure]:
    """Yields the longest frame and the growth of the heap, on the overview and on the list."""
    with installation(HANDSETS) as product, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=parts.need("chromium"),
            args=["--disable-gpu", "--js-flags=--expose-gc", "--enable-precise-memory-info"],
        )
        for path in ("/", "/handsets/?sort=name"):
            page = browser.new_page()
            log_in(page, product)
            yield from _under_storm(page, product, path)
            page.context.close()
        browser.close()


def _under_storm(page: Page, product: Product, path: str) -> Iterator[Figure]:
    page.goto(f"{product.url}{path}")
    page.wait_for_selector('body[data-live="live"]')
    storm = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", CHANGE], env=product.env, cwd=ROOT
    )
    page.wait_for_timeout(1000 * WARM_UP_S)
    before = page.evaluate(HEAP)
    page.evaluate(WATCH)
    page.wait_for_timeout(1000 * SECONDS)
    frames = sorted(page.evaluate("() => window.frames_"))
    grown = page.evaluate(HEAP) / before
    storm.wait(timeout=60)
    if storm.returncode:
        raise RuntimeError("the storm of changes broke off")
    yield Figure(f"{path} longest frame", frames[-1], "ms", at_most=LONGEST_FRAME_MS)
    yield Figure(f"{path} frame, 99th percentile", frames[int(0.99 * len(frames))], "ms")
    yield Figure(f"{path} JavaScript heap after / before", grown, "", at_most=GROWTH)
