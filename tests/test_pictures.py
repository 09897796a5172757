"""Figures of other pages, small, as links to them."""

import io
import re
from pathlib import Path

import nbformat
import pytest
from sphinx.application import Sphinx

# The smallest GIF: a point.
POINT = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b"
)
CHAPTER = """\
Chapter
=======

.. _fig-point:

.. figure:: point.gif
   :width: 640
   :alt: A point.

   Its caption.
"""


@pytest.fixture
def build(tmp_path):
    """A function that builds a book of two pages, and returns its first page and the warnings."""

    def build(figure, chapter=CHAPTER):
        (tmp_path / "point.gif").write_bytes(POINT)
        (tmp_path / "chapter.rst").write_text(chapter)
        first = (
            f"First page\n==========\n\n.. picture-of:: {figure}\n\n.. toctree::\n\n   chapter\n"
        )
        (tmp_path / "index.rst").write_text(first)
        settings = {"extensions": ["tools.pictures"], "html_theme": "basic"}
        warnings = io.StringIO()
        places = [tmp_path / "html", tmp_path / "doctrees"]
        Sphinx(tmp_path, None, *places, "html", settings, status=None, warning=warnings).build()
        return (tmp_path / "html/index.html").read_text("utf8"), warnings.getvalue()

    return build


def test_a_figure_is_shown_with_its_words_and_leads_to_itself(build):
    page, warnings = build("fig-point")
    picture = re.search(
        r'<a class="picture-of[^>]*href="(.*?)"[^>]*><img alt="(.*?)" src="(.*?)"', page
    )
    assert picture.groups() == ("chapter.html#fig-point", "A point.", "_images/point.gif")
    assert "640" not in page
    assert warnings == ""


NO_IMAGE = ".. _fig-point:\n\nChapter\n=======\n\nWords alone.\n"


@pytest.mark.parametrize(("figure", "chapter"), [("fig-another", CHAPTER), ("fig-point", NO_IMAGE)])
def test_a_figure_that_there_is_not_is_a_warning_and_leaves_nothing_behind(build, figure, chapter):
    page, warnings = build(figure, chapter)
    assert f"no figure {figure}" in warnings
    assert "<img" not in page
    assert "awaited" not in page


def test_the_first_page_is_written_again_with_a_chapter(build):
    build("fig-point")
    page, _ = build("fig-point", CHAPTER.replace("A point.", "Another."))
    assert 'alt="Another."' in page


def test_the_figures_that_pages_show_have_a_name_in_a_notebook():
    root = Path(__file__).parents[1]
    notebooks = [nbformat.read(path, 4) for path in root.glob("notebooks/*.ipynb")]
    names = {
        cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        for notebook in notebooks
        for cell in notebook.cells
    }
    pages = [path.read_text("utf8") for path in root.glob("book/*.md")]
    shown = re.findall(r"\{picture-of\} (\S+)", "\n".join(pages))
    assert len(shown) >= 9
    assert set(shown) <= names
