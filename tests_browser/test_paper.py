"""The whole book on paper: every chapter where the contents say, and links that lead somewhere."""

import re
import subprocess
import sys
import unicodedata

import pypdf
import pytest
from bs4 import BeautifulSoup
from conftest import PAGES

from tools import toc


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    file = tmp_path_factory.mktemp("paper") / "book.pdf"
    command = [sys.executable, "-m", "tools.pdf", str(PAGES), str(file)]
    subprocess.run(command, cwd=toc.ROOT, check=True, timeout=1200)
    return pypdf.PdfReader(file)


def words(text):
    """Letters and digits alone; fonts draw some pairs of letters as one."""
    return re.sub(r"\W+", "", unicodedata.normalize("NFKC", text))


def headings(levels):
    """All headings of these levels, without their links, in the order of the pages."""
    for name in toc.pages():
        page = BeautifulSoup((PAGES / f"{name}.html").read_text("utf8"), "html.parser")
        for heading in page.select(f"article :is({levels})"):
            heading.select_one(".headerlink").decompose()
            yield heading


def test_no_sheet_names_a_folder_of_the_machine_that_printed_it(paper):
    notes = [note.get_object() for page in paper.pages for note in page.get("/Annots", ())]
    texts = [page.extract_text() for page in paper.pages] + [str(note) for note in notes]
    assert not [text for text in [*texts, str(paper.metadata)] if str(toc.ROOT) in text]


def test_the_outline_names_each_page_and_the_contents_their_sheets(paper):
    titles = [heading.get_text() for heading in headings("h1")]
    entries = [entry for entry in paper.outline if not isinstance(entry, list)]
    assert [entry.title for entry in entries] == ["Contents", *titles]
    sheets = [paper.get_destination_page_number(entry) for entry in entries]
    assert sheets == sorted(set(sheets))
    contents = words(paper.pages[sheets[0]].extract_text())
    for title, sheet in zip(titles, sheets[1:]):
        assert f"{words(title)}{sheet + 1}" in contents
        assert words(title) in words(paper.pages[sheet].extract_text())


def test_links_within_the_book_stay_on_paper(paper):
    annotations = [one.get_object() for page in paper.pages for one in page.get("/Annots") or ()]
    inside = [str(one["/Dest"]) for one in annotations if "/Dest" in one]
    outside = [str(one["/A"]["/URI"]) for one in annotations if "/A" in one]
    assert len(inside) > 300 and set(inside) <= set(paper.named_destinations)
    assert all(address.startswith("https://") for address in outside)
    assert any(address.startswith(toc.published()) for address in outside)


def test_formulas_and_pictures_are_on_it(paper):
    text = "".join(page.extract_text() for page in paper.pages)
    assert r"\mathbb" not in text and r"\frac" not in text
    count = sum(len(page.images) for page in paper.pages)
    built = {*PAGES.glob("_images/*.png"), *PAGES.glob("_images/*.webp")}
    assert count >= len(built) > 20


def test_no_heading_is_broken_between_two_sheets(paper):
    first, second = (entry for entry in paper.outline[:2] if not isinstance(entry, list))
    assert first.title == "Contents"
    begin = paper.get_destination_page_number(second)
    sheets = [words(page.extract_text()) for page in paper.pages[begin:]]
    texts = [one.get_text() for one in headings("h2, h3") if not one.select(".math")]
    assert len(texts) > 100
    assert [text for text in texts if not any(words(text) in sheet for sheet in sheets)] == []
