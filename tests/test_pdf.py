"""All pages in one, for paper; and all of them in a zip."""

import re
import zipfile

import pytest
from bs4 import BeautifulSoup

from tools import pdf, toc, zipped

ADDRESS = "https://someone.github.io/book/"
FIRST = """<html><head>
<script>window.MathJax = {"options": {}}</script>
<script defer="defer" src="../_static/mathjax/tex-mml-chtml.js?v=1"></script></head>
<body><nav>side bar</nav><article class="bd-article">
<h1><span>1. </span>First<a class="headerlink" href="#first">#</a></h1>
<p id="here"><a href="#here">here</a> <a href="../two/second.html#there">there</a>
<a href="../two/second.html">second</a> <a href="../genindex.html#a">index</a>
<a href="https://elsewhere.org/#x">elsewhere</a> <img loading="lazy" src="../_images/a.png"></p>
<div class="cell tag_hide-input"><details class="hide"><summary>Show how it is drawn</summary>
<pre>draw()</pre></details><div class="cell_output">drawn</div></div>
<div class="cell tag_hide-cell"><details class="hide"><summary><p class="collapsed">Show code</p>
<p class="expanded">Hide</p></summary><pre>solve()</pre></details></div>
<div class="still"><style>.map {background: url(../_images/map.webp)}</style>
<p class="still-words">Here.</p></div><button>Press</button><script>run()</script>
</article></body></html>"""
SECOND = '<article><h1>2. Second</h1><p id="there">There</p></article>'


@pytest.fixture(scope="module")
def whole():
    sources = {"one/first": FIRST, "two/second": SECOND}
    return BeautifulSoup(pdf.in_one(sources, "A book", "Its author", ADDRESS), "html.parser")


def test_links_lead_from_sheet_to_sheet_or_to_the_published_page(whole):
    links = {link.string: link["href"] for link in whole.select("#one-first p a")}
    assert links == {
        "here": "#one-first--here",
        "there": "#two-second--there",
        "second": "#two-second",
        "index": f"{ADDRESS}genindex.html#a",
        "elsewhere": "https://elsewhere.org/#x",
        f"{ADDRESS}one/first.html": f"{ADDRESS}one/first.html",
    }
    ids = [tag["id"] for tag in whole.select("[id]")]
    assert len(ids) == len(set(ids))
    inside = {link["href"][1:] for link in whole.select("a[href^='#']")}
    assert inside <= set(ids)


def test_what_can_be_done_on_paper_is_on_it(whole):
    text = whole.get_text()
    for left_out in ("side bar", "draw()", "Press", "run()", "Hide", "Show"):
        assert left_out not in text
    assert "drawn" in text and "solve()" in text and "Here." in text
    assert whole.select_one("summary .admonition-title").string == "Code"
    assert f"It moves on the page itself: {ADDRESS}one/first.html" in text
    assert all("open" in fold.attrs for fold in whole.select("details"))


def test_pictures_and_formulas_are_found_from_the_top(whole):
    assert whole.img.attrs == {"src": "_images/a.png"}
    assert "url(_images/map.webp)" in str(whole)
    scripts = [script.get("src") or script.string for script in whole.select("script")]
    assert scripts == ['window.MathJax = {"options": {}}', "_static/mathjax/tex-mml-chtml.js?v=1"]


def test_the_contents_name_each_page(whole):
    entries = [item.get_text().strip() for item in whole.select(".contents li")]
    assert entries == ["1. First", "2. Second"]
    assert len(whole.select(".contents .page")) == 2


def test_each_sheet_has_the_heading_of_its_chapter_over_it(whole):
    style = whole.head.find_all("style")[-1].string
    assert "#two-second { page: two-second }" in style
    assert '@page two-second { @top-right { content: "2. Second";' in style


def test_the_address_is_that_of_the_repository():
    assert re.fullmatch(r"https://[\w-]+\.github\.io/[\w-]+/", toc.published())
    assert toc.pages()[0] == "book/intro" and len(toc.pages()) > 20
    assert "notebooks/04b_playground" in toc.sections() < set(toc.pages())


def test_the_same_pages_give_the_same_zip(tmp_path):
    for name, order in (("one", "ab"), ("two", "ba")):
        folder = tmp_path / name / "html"
        (folder / "sub").mkdir(parents=True)
        for letter in order:
            (folder / f"sub/{letter}.html").write_text(letter * 1000)
        (folder / "index.html").write_text("first")
        zipped.main(folder, tmp_path / name / "book.zip")
    one, two = (tmp_path / name / "book.zip" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as packed:
        assert packed.namelist() == ["book/index.html", "book/sub/a.html", "book/sub/b.html"]
        assert packed.read("book/sub/b.html") == b"b" * 1000
