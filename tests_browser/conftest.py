"""The built book behind a local server, in a real browser that reaches no other host."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tools.browser import FLAGS, chromium, served

PAGES = Path(__file__).parents[1] / "_build/html"


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where the built book is served: below other folders, as on a site with more than a book."""
    if not (PAGES / "index.html").exists():
        pytest.fail(f"there is no book in {PAGES}; `make book` builds it")
    site = tmp_path_factory.mktemp("site")
    (site / "some").mkdir()
    (site / "some/where").symlink_to(PAGES)
    with served(site) as address:
        yield f"{address}/some/where"


@pytest.fixture(scope="session")
def browser():
    found = chromium()
    if found is None:
        pytest.fail("no Chromium here; install Debian's `chromium`, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page, and what went wrong on it so far."""

    page: object
    address: str
    wrong: list = field(default_factory=list)


def load_all(page):
    """Have a page fetch what waits until a reader is near: its sliders, and every picture."""
    if page.locator(".still").count():
        page.locator(".still").first.locator("..").scroll_into_view_if_needed()
        page.locator(".widget-hslider").first.wait_for()
    page.evaluate(
        """Promise.all([...document.images].map((image) => {
          image.loading = "eager";
          return image.decode();
        }))"""
    )


@pytest.fixture
def visit(browser, address):
    """Opens a page of the book, in a window of so many pixels."""
    contexts = []

    def open_page(name, width=1280, fragment="", height=900):
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        seen = Visit(page, address)

        def only_here(route):
            if route.request.url.startswith(f"{address}/"):
                route.continue_()
            else:
                seen.wrong.append(f"asked for what is not the book's: {route.request.url}")
                route.abort()

        def note(kind, what):
            seen.wrong.append(f"{kind}: {what}")

        context.route("**/*", only_here)
        page.on("requestfailed", lambda request: note("failed", request.url))
        page.on("response", lambda answer: answer.ok or note(answer.status, answer.url))
        page.on("pageerror", lambda error: note("error", error))
        page.on("console", lambda line: line.type == "error" and note("console", line.text))
        page.goto(f"{address}/{name}.html{fragment}", wait_until="networkidle")
        return seen

    yield open_page
    for context in contexts:
        context.close()
