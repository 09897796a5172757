"""A Sphinx extension: a page shows its words before its scripts are there.

The theme's style sheets become one, with the rules that this book uses: half of the bytes in a
tenth of the requests. Scripts wait until the page was read, and pictures until they are near.
Icons come from the theme's fonts: its script that draws them again is the largest of a page.
"""

import hashlib
import posixpath
import re
from pathlib import Path

import tinycss2
from PIL import Image

SHEETS = re.compile(
    r'<link (?:href="(?P<a>[^"]*_static/[^"]*\.css)[^"]*" rel="stylesheet"'
    r'|rel="stylesheet" type="text/css" href="(?P<b>[^"]*_static/[^"]*\.css)[^"]*"'
    r'|rel="stylesheet" href="[^"]*_static/all\.css[^"]*" data-of="(?P<of>[^"]*)") ?/>\s*'
)
# Scripts that those after them, or lines between them, count on: they are small.
FIRST = ("widgets.js", "documentation_options.js")
# Not written for this book: nearly every word is in them.
EVERY_WORD = re.compile(r"searchindex\.js|mathjax/|locales/|live-digits")


def deferred(page: str) -> str:
    """Return a page whose scripts run once it was read, in their order."""
    page = re.sub(r"\s*<script [^>]*scripts/fontawesome\.js[^>]*></script>", "", page)
    page = re.sub(r'\s*<link rel="preload" as="script"[^>]*>', "", page)
    first = "|".join(map(re.escape, FIRST))
    pattern = rf'<script (?![^>]*\b(?:defer|async)\b)(?=[^>]*src=)(?![^>]*src="[^"]*/(?:{first}))'
    return re.sub(pattern, "<script defer ", page)


def patient(page: str, folder: Path) -> str:
    """Return a page, which lies in a folder, whose pictures wait, each with room kept for it."""

    def waiting(found):
        path = folder / found[1]
        room = ""
        if path.suffix != ".svg" and " width=" not in found[0]:
            with Image.open(path) as image:
                room = ' width="{}" height="{}"'.format(*image.size)
        return f'<img loading="lazy"{room}{found[0][4:]}'

    return re.sub(r'<img (?![^>]*(?:loading=|_static/images/))[^>]*?src="([^":]+)"', waiting, page)


def sheets_of(page: str) -> list[str]:
    """Return the style sheets of a page, below `_static`, in their order."""
    names: list[str] = []
    for found in SHEETS.finditer(page):
        of = found["of"]
        names += of.split() if of else [(found["a"] or found["b"]).split("_static/", 1)[1]]
    return names


def with_one_sheet(page: str, shared: list[str], version: str) -> str:
    """Return a page in which one style sheet stands for all that the pages share."""

    def one(found):
        if found["of"]:
            return link(found[0].split('href="', 1)[1].split("_static/", 1)[0])
        before, name = (found["a"] or found["b"]).split("_static/", 1)
        if name == shared[0]:
            return link(before)
        return "" if name in shared else found[0]

    def link(before):
        address = f"{before}_static/all.css?v={version}"
        return f'<link rel="stylesheet" href="{address}" data-of="{" ".join(shared)}" />\n'

    return SHEETS.sub(one, page)


def joined(folder: Path, names: list[str], words: set[str]) -> str:
    """Return the rules of style sheets that can match anything in a book of these words."""
    return "\n".join(_used(_rules(folder, name), words) for name in names)


def _rules(folder, name):
    """Return the rules of a style sheet and of those that it imports, with addresses that hold."""
    place = posixpath.dirname(name)

    def moved(found):
        return f"url({posixpath.normpath(posixpath.join(place, found[2]))})"

    text = (folder / name).read_text("utf8")
    for imported in re.findall(r'@import "([^"]+)";', text):
        yield from _rules(folder, posixpath.normpath(posixpath.join(place, imported)))
    text = re.sub(r'@import "[^"]+";', "", text)
    text = re.sub(r"""url\((["']?)(?!data:|#|\w+:)([^"')]+)\1\)""", moved, text)
    yield from tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)


def _used(rules, words):
    kept = []
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [one for one in _selectors(rule.prelude) if _names(one) <= words]
            if selectors:
                kept.append(f"{','.join(selectors)}{{{tinycss2.serialize(rule.content).strip()}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports", "layer"):
            inside = tinycss2.parse_rule_list(
                rule.content, skip_comments=True, skip_whitespace=True
            )
            if text := _used(inside, words):
                prelude = tinycss2.serialize(rule.prelude)
                kept.append(f"@{rule.at_keyword}{prelude}{{{text}}}")
        else:
            kept.append(rule.serialize())
    return "\n".join(kept)


def _selectors(prelude):
    """Split what stands before a rule's braces at its commas."""
    parts: list[list] = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [tinycss2.serialize(part).strip() for part in parts]


def _names(selector):
    """Return the classes and ids without which a selector matches nothing.

    What is in brackets doesn't count: `:not(.dark)` matches where there is nothing dark.
    """
    before = None
    while before != selector:
        before, selector = selector, re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", selector)
    return set(re.findall(r"[.#](-?[A-Za-z_][\w-]*)", selector))


def words_of(folder: Path) -> set[str]:
    """Return all that could be the name of a class: the words of the pages and of their scripts."""
    words: set[str] = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.suffix in (".html", ".js") and not EVERY_WORD.search(name):
            words |= set(re.findall(r"[\w-]+", path.read_text("utf8")))
    return words


def quicken(app, failure):
    """Change all pages that were written; those of an earlier build stay as they are."""
    if failure is None and app.builder.format == "html":
        quick(Path(app.outdir))


def quick(folder: Path) -> None:
    """Change all pages in a folder."""
    # Before its words are read, which name every icon there is.
    for path in folder.glob("_static/scripts/fontawesome.js*"):
        path.unlink()
    # The theme leaves some that aren't pages among its own files.
    files = [path for path in folder.rglob("*.html") if folder / "_static" not in path.parents]
    pages = {path: patient(deferred(path.read_text("utf8")), path.parent) for path in files}
    lists = {path: sheets_of(page) for path, page in pages.items()}
    longest = max(lists.values(), key=len)
    shared = [name for name in longest if all(name in one for one in lists.values() if one)]
    style = joined(folder / "_static", shared, words_of(folder))
    version = hashlib.sha256(style.encode()).hexdigest()[:8]
    (folder / "_static/all.css").write_text(style, "utf8")
    for path, page in pages.items():
        changed = with_one_sheet(page, shared, version)
        if changed != path.read_text("utf8"):
            path.write_text(changed, "utf8")


def setup(app):
    # After `late_sliders` and `accessible`, whose pages it reads.
    app.connect("build-finished", quicken, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
