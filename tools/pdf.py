"""Print the built book: `python -m tools.pdf FOLDER FILE`, of the folder of its pages.

All pages become one, so that links between them lead from sheet to sheet, and Chromium prints it.
A sheet can't be clicked: sliders show where they start, solutions are open, and so is the code
of solutions and of the package. Code that only draws a figure stays in its fold, and off the paper.
"""

import json
import logging
import posixpath
import re
import sys
from pathlib import Path

import pypdf
import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import ViewportSize, sync_playwright
from pypdf.generic import NameObject, TextStringObject

from tools.browser import FLAGS, chromium, served
from tools.toc import ROOT, pages, published, sections

# What is pressed, run or pointed at.
OFF_PAPER = (
    "script:not([type^='math']), .headerlink, button, .tag_hide-input > details.hide, "
    ".sd-summary-state-marker"
)
STYLE = """
@page {
  size: A4; margin: 20mm 20mm 22mm;
  @bottom-center { content: counter(page); font: 8pt sans-serif }
}
@page :first { @bottom-center { content: none } }
html, body { background: #fff; font-size: 10.5pt }
.bd-content { display: block }
.bd-article { padding: 0 }
.chapter { break-before: page }
.title { padding-top: 35% }
.title .name { font-size: 30pt; font-weight: 600; margin-bottom: 1rem }
[data-live-vae] { break-inside: avoid }
[data-live-vae] img { display: block; margin: auto; max-height: 17cm; width: auto }
/* Boxes that could scroll, or are flexible, count as one piece: Chromium leaves their background
   behind at the foot of a sheet, or half a sheet empty. */
pre, .cell_output .output { overflow: visible !important }
body, .bd-content :is(.cell_input, .highlight, [class*="highlight-"]) { display: block !important }
.bd-content :is(details.admonition.hide, .highlight, [class*="highlight-"]) { break-inside: auto }
/* A hundred characters in a line, also inside the box of a solution. */
.bd-content div.highlight pre { font-size: 7.2pt; orphans: 3; widows: 3 }
/* Letters in figures about as large as those of the text, and no figure higher than a sheet. */
.bd-content :is(figure, .cell_output) img:not([class^="vae-map"] img) {
  width: auto !important; max-width: min(100%, 13.5cm) !important; max-height: 18cm }
/* Nothing scrolls on paper: tables fit the sheet, and those of up to twelve rows stay whole. */
.pst-scrollable-table-container { overflow: visible }
.bd-content table { display: table !important; overflow: visible !important; font-size: 8.5pt }
.bd-content :is(th, td) { padding: 0.25rem 0.3rem }
.bd-content table:not(:has(tbody tr:nth-child(13))), .tree > ul > li, .citation, .ledger > li {
  break-inside: avoid }
tbody tr:first-child { break-after: avoid }
tbody tr:last-child { break-before: avoid }
.bd-content summary { break-after: avoid }
.bd-content summary.sd-summary-title, .bd-content .hide > summary > p { display: block !important }
/* In a grid, the head of a list of parameters would stay behind. */
.bd-content dl.field-list { display: block !important }
.contents a { color: inherit; text-decoration: none }
.contents li { display: flex; justify-content: space-between; list-style: none }
.contents .section { padding-left: 1.5em }
"""


def in_one(sources: dict[str, str], title: str, author: str, address: str) -> str:
    """Return one page of all pages: name, such as `book/intro`, -> HTML, in their order.

    Args:
        sources: the pages as they were built.
        title: of the book.
        author: of the book.
        address: where it is published, for what the paper can't show.
    """
    soups = {name: BeautifulSoup(source, "html.parser") for name, source in sources.items()}
    chapters = [_chapter(name, soup, sources, address) for name, soup in soups.items()]
    below = sections()
    contents = "".join(
        f'<li class="{"section" * (name in below)}"><a href="#{chapter["id"]}">'
        f'{_heading(chapter)}</a> <span class="page"></span></li>'
        for name, chapter in zip(sources, chapters, strict=True)
    )
    heads = "\n".join(map(_running_head, chapters))
    maths = next((found for soup in soups.values() if (found := _maths(soup))), "")
    body = "\n".join(map(str, chapters))
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-content_root="">
<head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="_static/all.css"><link rel="stylesheet" href="_static/live.css">
<style>{STYLE}{heads}</style>{maths}</head>
<body><main class="bd-content"><article class="bd-article">
<div class="title"><p class="name">{title}</p><p>{author}</p>
<p>The book whose sliders move: <a href="{address}">{address}</a></p>
<p>On paper they stand still, and the code that only draws figures or checks sentences is left
out.</p></div>
<section class="chapter contents" id="contents"><h1>Contents</h1><ul>{contents}</ul></section>
{body}
</article></main></body></html>"""


def _heading(chapter):
    return chapter.h1.get_text().strip()


def _running_head(chapter):
    """Return the style that puts a chapter's heading over each of its sheets."""
    words = json.dumps(_heading(chapter), ensure_ascii=False)  # a string of CSS, too
    return f"""#{chapter["id"]} {{ page: {chapter["id"]} }}
@page {chapter["id"]} {{ @top-right {{ content: {words}; font: 8pt sans-serif }} }}"""


def _maths(soup):
    """Return the scripts that typeset formulas, as a page below the top has them."""
    own = soup.find("script", src=re.compile("tex-mml-chtml"))
    set_up = soup.find("script", string=re.compile(r"window\.MathJax ="))
    if own is None:
        return ""
    own["src"] = own["src"].removeprefix("../")
    return f"{set_up or ''}{own}"


def _chapter(name: str, soup: BeautifulSoup, sources: dict[str, str], address: str) -> Tag:
    article = soup.find("article")
    assert isinstance(article, Tag), name
    article.name, article.attrs = "section", {"class": "chapter", "id": _id(name)}
    for tag in article.select(OFF_PAPER):
        tag.decompose()
    for fold in article.select("details"):
        fold["open"] = ""
    for hide in article.select("summary .expanded"):
        hide.decompose()
    for label in article.select("summary .collapsed"):
        # The theme hides this class in an open fold, and nothing is left to be shown.
        label["class"] = "admonition-title"
        label.string = re.sub(r"^Show (\w)", lambda found: found[1].upper(), label.get_text())
    for tag in article.select("[id]"):
        if tag is not article:
            tag["id"] = _id(name, tag["id"])
    for tag in article.select("[src]"):
        tag["src"] = _place(name, tag["src"])
    for image in article.select("img[loading]"):
        del image["loading"]
    for style in article.select("style"):
        style.string = (style.string or "").replace("url(../", "url(")
    for link in article.select("a[href]"):
        link["href"] = _target(name, link["href"], sources, address)
    for live in article.select("[data-live-vae], .still"):
        live.append(_where(soup, f"{address}{name}.html"))
    return article


def _id(name, part=""):
    return f"{name.replace('/', '-')}--{part}" if part else name.replace("/", "-")


def _place(name, link):
    """Return the path, from the top of the book, of what a page links to."""
    if re.match(r"\w+:", link):
        return link
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), link))


def _target(name, link, sources, address):
    """Return where a link of a page leads: within the paper if it can."""
    if re.match(r"\w+:", link):
        return link
    path, _, part = link.partition("#")
    place = _place(name, path) if path else f"{name}.html"
    page = place.removesuffix(".html")
    if page in sources:
        return f"#{_id(page, part)}"
    return f"{address}{place}{'#' if part else ''}{part}"


def _where(soup, address):
    """Say where the page is on which this moves."""
    words = soup.new_tag("p", attrs={"class": "on-paper"})
    link = soup.new_tag("a", href=address)
    link.string = address
    words.extend(["It moves on the page itself: ", link])
    return words


def sheets(file: Path) -> list[int]:
    """Return the sheet, counted from 1, on which each entry of the outline's top starts."""
    reader = pypdf.PdfReader(file)
    entries = [entry for entry in reader.outline if not isinstance(entry, list)]
    return [(reader.get_destination_page_number(entry) or 0) + 1 for entry in entries]


def name_outline(file: Path, headings: list[str], author: str) -> None:
    """Name the entries of the outline, into which Chromium writes each heading twice."""
    writer = pypdf.PdfWriter(clone_from=file)
    entries = _entries(writer.root_object["/Outlines"])
    for entry, heading in zip(entries, headings, strict=True):
        entry[NameObject("/Title")] = TextStringObject(heading)
    writer.page_mode = "/UseOutlines"
    writer.add_metadata({"/Author": author})
    writer.write(file)


def _entries(above):
    entry = above.get("/First")
    while entry is not None:
        entry = entry.get_object()
        yield entry
        yield from _entries(entry)
        entry = entry.get("/Next")


# The 170 mm of a line on paper, in pixels of CSS, so that lines can be counted before.
TEXT: ViewportSize = {"width": 642, "height": 900}
HEADINGS = """[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(
  (heading) => heading.textContent.replace(/\\s+/g, " ").trim())"""
# Short things stay whole: paragraphs, as Chromium rather leaves the last of three lines alone on a
# sheet than move all three there, and code of up to a third of a sheet.
KEEP = """document.querySelectorAll("p, .hide, .highlight").forEach((tag) => {
  const most = tag.matches("p") ? 3.5 * parseFloat(getComputedStyle(tag).lineHeight) : 320;
  if (tag.clientHeight < most) tag.style.breakInside = "avoid";
})"""
# Chromium shrinks every sheet, without a word, if one of these sticks out.
WIDE = """[...document.querySelectorAll(".chapter :is(p, pre, table, figure, img, .math)")]
  .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((one) => `${one.closest(".chapter").id}: ${one.tagName} ${one.textContent.slice(0, 60)}`)"""
# The first entry is that of the contents themselves.
NUMBER = """sheets => document.querySelectorAll(".contents .page").forEach(
  (place, i) => { place.textContent = sheets[i + 1]; })"""


def main(folder: Path, file: Path) -> None:
    """Print the pages of a folder: twice, as the first time tells the numbers for the contents."""
    # Chromium counts the objects of its files otherwise than pypdf, which says so in each run.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    sources = {name: (folder / f"{name}.html").read_text("utf8") for name in pages()}
    whole = in_one(sources, config["title"], config["author"], published())
    with sync_playwright() as playwright, served(folder) as address:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_page(color_scheme="light", viewport=TEXT)
        page.emulate_media(media="print")
        page.set_default_timeout(600_000)
        page.route(f"{address}/whole.html", lambda route: route.fulfill(body=whole))
        page.goto(f"{address}/whole.html")
        page.evaluate("window.MathJax?.startup.promise")
        page.evaluate(KEEP)
        if wide := page.evaluate(WIDE):
            sys.exit(f"wider than the text on paper: {'; '.join(wide)}")
        for _ in range(2):
            page.pdf(
                path=file,
                prefer_css_page_size=True,
                print_background=True,
                tagged=True,
                outline=True,
            )
            page.evaluate(NUMBER, sheets(file))
        name_outline(file, page.evaluate(HEADINGS), config["author"])
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
