"""Every page of the built book in a browser: nothing fails, every slider shows what it says."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import zipfile
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from conftest import PAGES, load_all
from playwright.sync_api import expect

from tools import zipped
from tools.toc import pages

ROOT = PAGES.parents[1]
MEGABYTE = 1_000_000


def widget_state(page):
    """Model id -> the state of a widget, as the page holds it."""
    text = page.locator('script[type="application/vnd.jupyter.widget-state+json"]').text_content()
    return {name: model["state"] for name, model in json.loads(text)["state"].items()}


def outputs(page):
    """Of each output with widgets: its place on the page, and the id of its outermost model."""
    scripts = page.locator('script[type="application/vnd.jupyter.widget-view+json"]')
    models = [json.loads(text)["model_id"] for text in scripts.all_text_contents()]
    return [(scripts.nth(i).locator(".."), model) for i, model in enumerate(models)]


def resolve(state, text):
    return state[text.removeprefix("IPY_MODEL_")]


def children(state, model):
    return [resolve(state, child) for child in model["children"]]


def is_a(model, name):
    return model["_model_name"] == name


class Output:
    """The controls of an output, and what its state says that they should show."""

    def __init__(self, place, root, state):
        self.place, self.state = place, state
        self.shown = next(m for m in reversed(children(state, root)) if is_a(m, "StackModel"))

    def expected(self, *indices):
        """The text of the widget behind these indices, from the outer stack to the inner."""
        widget = self.shown
        for index in indices:
            widget = children(self.state, widget)[index]
        return widget["value"]

    def depth(self):
        inner = children(self.state, self.shown)[0]
        return 2 if is_a(inner, "StackModel") else 1

    def shows(self, html):
        """Wait until exactly this picture is visible, comparing its bytes."""
        wanted = html.split('src="')[1].split('"')[0]
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            visible = self.place.locator("img:visible")
            if visible.evaluate_all("all => all.map(image => image.src)") == [wanted]:
                return True
            time.sleep(0.05)
        return False

    def sliders(self):
        return self.place.locator(".widget-hslider").all()


def handle_of(slider):
    return slider.locator(".noUi-handle")


def index_of(slider):
    return round(float(handle_of(slider).get_attribute("aria-valuenow")))


def last_of(slider):
    return round(float(handle_of(slider).get_attribute("aria-valuemax")))


def click(page, slider, share):
    """With the mouse, at this share of the slider's length."""
    box = slider.locator(".noUi-base").bounding_box()
    across = 1 + share * (box["width"] - 2)
    page.mouse.click(box["x"] + across, box["y"] + box["height"] / 2)
    # The slider hears no further click while its handle glides.
    slider.locator(".noUi-state-tap").wait_for(state="detached")


# A formula in a line of text can't be scrolled: what doesn't fit is cut off.
CUT_FORMULAS = """
async () => {
  await window.MathJax?.startup.promise;
  return [...document.querySelectorAll(".bd-content mjx-container:not([display])")]
    .filter(formula => !formula.closest("table"))
    .filter(formula => formula.getBoundingClientRect().right > window.innerWidth)
    .map(formula => formula.textContent);
}
"""


# Words outside the window, or of a box that hides them: at 200 %, nothing may be cut.
CUT_WORDS = """
() => {
  const cut = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode()); ) {
    const parent = text.parentElement;
    if (!text.data.trim() || !parent.checkVisibility({ visibilityProperty: true })) continue;
    if (parent.closest("mjx-assistive-mml, script, style, option")) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    for (const word of range.getClientRects()) {
      for (let box = parent; box; box = box.parentElement) {
        const { overflowX, overflowY, position } = getComputedStyle(box);
        const edge = box.getBoundingClientRect();
        if (edge.width <= 1 || edge.height <= 1) break; // for screen readers alone
        const hides = (overflow) => ["hidden", "clip"].includes(overflow);
        const scrolls = (overflow) => ["auto", "scroll"].includes(overflow);
        if (
          (hides(overflowX) && (word.right > edge.right + 2 || word.left < edge.left - 2)) ||
          (hides(overflowY) && (word.bottom > edge.bottom + 4 || word.top < edge.top - 4))
        ) {
          cut.push(text.data.trim());
        }
        if (scrolls(overflowX) || scrolls(overflowY) || position === "fixed") break;
        if (box === document.body && word.right > innerWidth + 1) cut.push(text.data.trim());
      }
    }
  }
  return [...new Set(cut)];
}
"""
# On a phone; at 200 % in a window of 1280 by 1024 pixels; and in such a window.
WINDOWS = [(380, 900), (640, 512), (1280, 1024)]


@pytest.mark.parametrize("name", [*pages(), "genindex", "search"])
@pytest.mark.parametrize(("width", "height"), WINDOWS)
def test_nothing_fails_and_nothing_is_too_wide_or_cut(visit, name, width, height):
    seen = visit(name, width, height=height)
    load_all(seen.page)
    assert seen.wrong == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    assert seen.page.evaluate(CUT_FORMULAS) == []
    assert seen.page.evaluate(CUT_WORDS) == []


# What takes the focus, and then has no outline that was not there before.
UNSEEN_FOCUS = """
() => {
  const outlined = (style) =>
    style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 &&
    !/, 0\\)|transparent/.test(style.outlineColor);
  const look = (element) => {
    const style = getComputedStyle(element);
    return [outlined(style), style.boxShadow];
  };
  const can = "a[href], button, input, select, textarea, summary, [tabindex], iframe";
  const seen = [...document.querySelectorAll(can)].filter(
    (element) => element.tabIndex >= 0 && element.checkVisibility({ visibilityProperty: true }),
  );
  const unseen = [];
  for (const element of seen) {
    document.activeElement.blur();
    const [, shadow] = look(element);
    element.focus({ preventScroll: true, focusVisible: true });
    if (document.activeElement !== element) continue;
    const [outline, after] = look(element);
    if (!outline && (after === "none" || after === shadow)) unseen.push(element.outerHTML);
  }
  document.activeElement.blur();
  return [seen.length, [...new Set(unseen.map((html) => html.slice(0, 120)))]];
}
"""


@pytest.mark.parametrize("name", [*pages(), "genindex", "search"])
def test_axe_finds_nothing_and_the_focus_is_seen(visit, name):
    """On a large screen, and on a phone; also in what is folded."""
    page = visit(name).page
    load_all(page)
    page.keyboard.press("Tab")  # the reader of these outlines has a keyboard
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    for scheme, width in (("light", 1280), ("dark", 380)):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        page.evaluate("Promise.all(document.getAnimations().map(change => change.finished))")
        page.wait_for_timeout(500)  # after 300 ms the theme looks for what is too wide
        # A name that differs from the words on a button is no error by default.
        rules = {"label-content-name-mismatch": {"enabled": True}}
        found = Axe().run(page, options={"rules": rules})
        assert found.violations_count == 0, found.generate_report()
        count, unseen = page.evaluate(UNSEEN_FOCUS)
        assert count > (5 if name == "search" else 20) and unseen == []


@pytest.mark.parametrize("name", ["book/intro", "notebooks/04_kld_annealing"])
def test_every_icon_is_a_letter_of_a_font_that_is_there(visit, name):
    icons, silent, loaded = visit(name).page.evaluate("""document.fonts.ready.then(() => {
      const icons = [...document.querySelectorAll("i[class*='fa']")];
      const letter = (icon) => getComputedStyle(icon, "::before").content;
      return [
        icons.length,
        icons.filter((icon) => letter(icon) === "none").map((icon) => icon.className),
        document.fonts.check("900 1em 'Font Awesome 6 Free'", "\\uf019"),
      ];
    })""")
    assert icons > 10 and silent == [] and loaded


@pytest.mark.parametrize("name", [name for name in pages() if name.startswith("notebooks/")])
def test_a_chapter_weighs_at_most_four_megabytes(visit, name):
    page = visit(name).page
    pictures = page.evaluate("[...document.images].map(i => i.src)")
    files = {PAGES / "_images" / p.split("/_images/")[1] for p in pictures if "/_images/" in p}
    files |= {PAGES / f"{name}.html", *PAGES.glob(f"{name}.sliders.js")}
    weight = sum(file.stat().st_size for file in files)
    assert weight < 4 * MEGABYTE, f"{weight / MEGABYTE:.1f} MB"


def sliders_in(name):
    """How many outputs with sliders the source of a chapter makes."""
    cells = json.loads((ROOT / f"{name}.ipynb").read_text("utf8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return sum(bool(re.search(r"^sliders\.\w+\(", source, re.MULTILINE)) for source in sources)


# Tables and answers, for which there is nothing to turn.
WITHOUT_SLIDERS = {"notebooks/07b_one_rule", "notebooks/08_remedies", "notebooks/09_field_guide"}


@pytest.mark.parametrize(
    "name",
    [name for name in pages() if name.startswith("notebooks/") and name not in WITHOUT_SLIDERS],
)
@pytest.mark.parametrize("width", [380, 1280])
def test_every_slider_shows_its_picture(visit, name, width):
    seen = visit(name, width)
    load_all(seen.page)
    state = widget_state(seen.page)
    assert len(outputs(seen.page)) == sliders_in(name) > 0
    for place, model in outputs(seen.page):
        check_output(seen.page, Output(place, state[model], state))
    assert seen.wrong == []


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The address of the folder that a reader unpacks."""
    folder = tmp_path_factory.mktemp("offline")
    zipped.main(PAGES, folder / "book.zip")
    zipfile.ZipFile(folder / "book.zip").extractall(folder)
    return (folder / "book").as_uri()


@pytest.mark.parametrize("name", ["notebooks/01_theory", "notebooks/04_kld_annealing"])
def test_the_unpacked_zip_needs_no_server(browser, unpacked, name):
    page, wrong = browser.new_page(), []
    page.route(re.compile("^https?:"), lambda route: route.abort())  # which is a failed request
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: line.type == "error" and wrong.append(line.text))
    page.goto(f"{unpacked}/{name}.html")
    load_all(page)
    state = widget_state(page)
    place, model = outputs(page)[0]
    check_output(page, Output(place, state[model], state))
    page.locator("mjx-container").first.wait_for()
    assert wrong == []
    page.close()


def check_output(page, output):
    output.place.scroll_into_view_if_needed()
    sliders = output.sliders()
    if len(sliders) == 2:
        check_map(page, output, *sliders)
    elif output.depth() == 2:
        check_explorer(page, output, sliders[0])
    else:
        check_slider(page, output, sliders[0], lambda index: (index,))


# The letters of the icon font that a button shows.
ICONS = """button => [...button.querySelectorAll("i")].filter(
    (i) => getComputedStyle(i, "::before").content !== "none").length"""


def check_slider(page, output, slider, path):
    """By keyboard, by mouse, and by the play button."""
    handle, last = handle_of(slider), last_of(slider)
    assert handle.get_attribute("aria-label")
    assert output.shows(output.expected(*path(0)))
    handle.focus()
    for index in (1, 2, 1):
        page.keyboard.press("ArrowRight" if index > index_of(slider) else "ArrowLeft")
        assert output.shows(output.expected(*path(index)))
        assert index_of(slider) == index
    readout = slider.locator(".widget-readout").text_content()
    assert handle.get_attribute("aria-valuetext") == readout
    click(page, slider, 1)
    assert output.shows(output.expected(*path(last)))
    click(page, slider, 0)
    assert output.shows(output.expected(*path(0)))
    play = output.place.locator(".widget-play button")
    assert all(button.get_attribute("aria-label") for button in play.all())
    assert [button.evaluate(ICONS) for button in play.all()] == [1, 1, 1]
    play.nth(0).click()
    assert output.shows(output.expected(*path(1)))
    assert [button.evaluate(ICONS) for button in play.all()] == [1, 1, 1]
    assert output.shows(output.expected(*path(2)))
    play.nth(0).click()
    assert [button.evaluate(ICONS) for button in play.all()] == [1, 1, 1]
    play.nth(1).click()
    assert output.shows(output.expected(*path(0)))


def check_explorer(page, output, slider):
    buttons = output.place.locator(".widget-toggle-button, .widget-toggle-buttons button").all()
    assert len(buttons) == len(output.shown["children"])
    for row, button in reversed(list(enumerate(buttons))):
        button.click()
        pressed = [each.get_attribute("aria-pressed") for each in buttons]
        assert pressed == ["true" if each is button else "false" for each in buttons]
        check_slider(page, output, slider, lambda index, row=row: (row, index))


def check_map(page, output, first, second):
    middle = index_of(first)
    assert output.shows(output.expected(middle, middle))
    handle_of(first).focus()
    page.keyboard.press("ArrowRight")
    assert output.shows(output.expected(middle, middle + 1))
    handle_of(second).focus()
    page.keyboard.press("ArrowLeft")
    assert output.shows(output.expected(middle - 1, middle + 1))
    for slider, wanted in ((first, (middle - 1, 0)), (second, (0, 0))):
        click(page, slider, 0)
        assert output.shows(output.expected(*wanted))


def linked(path):
    """The ids of a page, and all addresses on it."""
    soup = BeautifulSoup(path.read_text("utf8"), "html.parser")
    links = [tag[name] for name in ("href", "src") for tag in soup.select(f"[{name}]")]
    return {tag["id"] for tag in soup.select("[id]")}, links


def test_every_link_within_the_book_leads_somewhere():
    built = {path.resolve(): linked(path) for path in PAGES.rglob("*.html")}
    lost, count = [], 0
    for page, (_, links) in built.items():
        if "_static" in page.parts:
            continue
        for link in links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            place = (page.parent / urllib.parse.unquote(parts.path)).resolve()
            target = place if parts.path else page
            # Settings of the live page, which another test tries.
            part = "" if "=" in parts.fragment else urllib.parse.unquote(parts.fragment)
            if not target.is_file() or part and part not in built.get(target, (set(),))[0]:
                lost.append(f"{page.relative_to(PAGES)}: {link}")
    assert count > 2000 and lost == []


@pytest.mark.fault("a file of the site that might name a folder of the machine that built it")
def test_no_file_names_a_folder_of_the_machine_that_built_it(record_property):
    data = os.environ.get("VAE_DATA_DIR") or ROOT
    folders = {str(Path(folder).resolve()) for folder in (ROOT, Path.home(), data)}
    named = re.compile(f"(?:{'|'.join(map(re.escape, folders))})(?![\\w-])".encode())
    files = [path for path in PAGES.rglob("*") if path.is_file()]
    record_property("tried", len(files))
    found = {str(path): named.findall(path.read_bytes()) for path in files}
    assert not any(found.values()), {path: names for path, names in found.items() if names}
    assert len(files) > 100 and named.search(f"see '{ROOT}'".encode())


def test_formulas_are_typeset_without_another_host(visit):
    page = visit("notebooks/01_theory").page
    page.locator("mjx-container").first.wait_for()
    assert page.locator("mjx-container").count() > 100


def test_the_pictures_of_the_book_can_be_taken_anew(tmp_path):
    command = [sys.executable, "-m", "tools.screenshots", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=240)
    for name in ("screenshot.png", "live.png"):
        assert (tmp_path / name).stat().st_size > 20_000
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
