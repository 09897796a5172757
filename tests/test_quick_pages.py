"""One style sheet, scripts that wait, and pictures with room kept for them."""

import re

import pytest
from PIL import Image

from tools import quick_pages

LINKS = """\
<link href="{0}_static/styles/theme.css?digest=1" rel="stylesheet" />
<link rel="stylesheet" type="text/css" href="{0}_static/own.css?v=2" />
"""
PAGE = (
    LINKS + '<link rel="stylesheet" type="text/css" href="{0}_static/live.css?v=3" />\n'
    '<script src="{0}_static/widgets.js?v=4"></script>\n<p class="a other">Words</p>'
)


@pytest.mark.parametrize(
    "before, after",
    [
        ('<script src="_static/some.js">', '<script defer src="_static/some.js">'),
        ('<script data-x="1" src="some.js">', '<script defer data-x="1" src="some.js">'),
        ('<script defer="defer" src="some.js">', '<script defer="defer" src="some.js">'),
        ('<script src="../_static/widgets.js?v=1">', '<script src="../_static/widgets.js?v=1">'),
        ("<script>let a;</script>", "<script>let a;</script>"),
        ('a\n<script src="_static/scripts/fontawesome.js?digest=1"></script>', "a"),
        ('a\n<link rel="preload" as="script" href="b.js" />', "a"),
    ],
)
def test_scripts_wait_unless_others_count_on_them(before, after):
    assert quick_pages.deferred(before) == after
    assert quick_pages.deferred(after) == after


def test_pictures_wait_and_the_page_keeps_room_for_them(tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "some.png")
    page = '<img alt="Some" src="some.png" style="width: 15px"/><img width="9" src="some.png">'
    after = quick_pages.patient(page, tmp_path)
    assert after == (
        '<img loading="lazy" width="30" height="20" alt="Some" src="some.png" style="width: 15px"/>'
        '<img loading="lazy" width="9" src="some.png">'
    )
    assert quick_pages.patient(after, tmp_path) == after


@pytest.fixture
def book(tmp_path):
    """Two pages, of which one has a style sheet more."""
    (tmp_path / "_static/styles").mkdir(parents=True)
    (tmp_path / "_static/own.css").write_text(".a > .b { x: y } .a, .unknown { x: z }")
    (tmp_path / "_static/basic.css").write_text("p { x: url(some.png) }")
    (tmp_path / "_static/scripts").mkdir()
    (tmp_path / "_static/scripts/fontawesome.js").write_text('["unknown"]')
    (tmp_path / "_static/styles/theme.css").write_text(
        '@import "../basic.css"; /* words */ .a { x: url("../f/f.woff") }\n'
        "@media print { .unknown { x: y } } @media screen { a:not(.unknown) { x: y } }"
        "@font-face { src: url(data:x) }"
    )
    (tmp_path / "_static/live.css").write_text(".live { x: y }")
    (tmp_path / "one.html").write_text(PAGE.format(""))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/two.html").write_text(LINKS.format("../"))
    return tmp_path


def test_one_style_sheet_has_the_rules_that_can_match(book):
    quick_pages.quick(book)
    style = (book / "_static/all.css").read_text()
    assert re.sub(r"\s+", "", style) == (
        "p{x:url(some.png)}.a{x:url(f/f.woff)}@mediascreen{a:not(.unknown){x:y}}"
        "@font-face{src:url(data:x)}.a{x:z}"
    )
    for name, above, more in (("one", "", ["live.css"]), ("sub/two", "../", [])):
        page = (book / f"{name}.html").read_text()
        links = re.findall(r'href="([^"?]*)', page)
        assert links == [f"{above}_static/{sheet}" for sheet in ["all.css", *more]]


def test_a_second_build_renews_the_style_sheet_of_pages_that_stay(book):
    quick_pages.quick(book)
    first = (book / "one.html").read_text()
    quick_pages.quick(book)
    assert (book / "one.html").read_text() == first
    (book / "_static/own.css").write_text(".other { x: y }")
    (book / "sub/two.html").write_text(LINKS.format("../"))
    quick_pages.quick(book)
    assert ".other" in (book / "_static/all.css").read_text()
    version = re.findall(r"all\.css\?v=\w+", (book / "one.html").read_text())
    assert version == re.findall(r"all\.css\?v=\w+", (book / "sub/two.html").read_text())
    assert version[0] not in first
