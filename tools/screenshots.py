"""Take the pictures of the book that can't be drawn: of the first page, and of the live page.

    python -m tools.screenshots book/assets

It needs the built book, and Chromium.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tools.browser import FLAGS, chromium, served

PAGES = Path(__file__).parents[1] / "_build/html"


def main(folder: Path) -> None:
    """Write both into a folder."""
    with sync_playwright() as playwright, served(PAGES) as address:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        # For the README: the first page, after its two models have trained.
        page.goto(f"{address}/book/intro.html")
        _train(page, "[data-action=train]")
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=folder / "screenshot.png")
        # For readers without JavaScript: the component after an annealed run, without its dials.
        page.goto(f"{address}/book/live.html")
        page.locator(".live-settings").evaluate("details => details.open = false")
        _train(page, "[data-preset=annealed]")
        page.locator("[data-live-vae]").screenshot(path=folder / "live.png")
        browser.close()


def _train(page, button):
    page.locator(button).click()
    page.locator("[data-live-vae][data-state=done]").wait_for(timeout=120_000)
    page.mouse.move(0, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
