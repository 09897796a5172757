"""A Sphinx extension: mends what theme, myst-nb and docutils leave a screen reader to guess.

Each repair is a pattern of the written page and what takes its place; none matches its own result.
"""

import re
from collections.abc import Callable
from pathlib import Path

REPAIRS: list[tuple[str, str | Callable[[re.Match], str]]] = [
    # The title above the table of contents belongs to no landmark.
    (
        r'<div class="sidebar-primary-item">(\s*<a class="navbar-brand logo")',
        r'<div class="sidebar-primary-item" role="region" aria-label="The book">\1',
    ),
    # An arrow that opens the sections of a chapter has no name.
    (
        r'(<a class="(?:current )?reference internal" href="[^"]*">)([^<"]*)(</a><details[^>]*>)'
        r"<summary>",
        r'\1\2\3<summary aria-label="Sections of: \2">',
    ),
    # These name all folds alike, over the words that are seen.
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r'(<i class="theme-switch [^>]*?)\s+title="[^"]*"', r"\1"),
    # An icon is a letter of a font that has no name.
    (
        r'<i (class="(?:theme-switch )?fa[bs-][^"]*")(?![^>]*aria-hidden)',
        r'<i \1 aria-hidden="true"',
    ),
    # A role that is deprecated, and not allowed in a list.
    (r'role="doc-biblioentry"', 'role="listitem"'),
    # The empty corner of a table heads nothing.
    (r'<th class="head"><p></p></th>', '<td class="head"></td>'),
    # The arguments of a signature, one a line, are no definitions.
    (
        r'(<span class="sig-paren">\(</span>\s*)<dl>(.*?)</dl>',
        lambda found: (
            found[1]
            + '<div class="sig-arguments">'
            + found[2].replace("<dd>", "<div>").replace("</dd>", "</div>")
            + "</div>"
        ),
    ),
]


def repaired(page: str) -> str:
    """Return a page's HTML with all repairs."""
    for pattern, replacement in REPAIRS:
        page = re.sub(pattern, replacement, page, flags=re.DOTALL)
    return page


def repair(app, failure):
    if failure is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            before = path.read_text("utf8")
            after = repaired(before)
            if after != before:
                path.write_text(after, "utf8")


# The theme looks which code is wider than its box, and makes that reachable by keyboard, when the
# window changes; but what is folded has no width until it is opened.
OPENED = 'document.addEventListener("toggle", () => dispatchEvent(new Event("resize")), true);'


def setup(app):
    app.add_js_file(None, body=OPENED)
    app.connect("build-finished", repair)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
