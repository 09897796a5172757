"""A Sphinx extension: shows the record of claims and faults, and names its rows in the chapters.

The directives `{claims}` and `{faults}` are the tables of the page *How this book is tested*.
In the chapters, code that asserts something ends with the rows of its assertions.
"""

import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

# jupyter-book has this folder on its path, and not the one above.
sys.path.insert(0, str(Path(__file__).parents[1]))
from tools import record  # noqa: E402
from tools.claims import DATA, ROOT, STORED, counting, fingerprint  # noqa: E402

FAULTS = ROOT / "benchmarks" / "faults"  # a record of each target that tries some
PAGE = "book/tested"
# Also 0.1, 1,000, 2e-05 and 2 × 10⁻⁵.
SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
NUMBER = re.compile(rf"[-−+]?\d[\d,]*\.?\d*(?:e[-+]\d+| × 10[{SUPERSCRIPTS}]+)?")


@dataclass(frozen=True)
class Row:
    """A claim of a chapter, over all runs."""

    text: str
    held: int
    runs: int
    # The narrowest: the difference of both sides as a share of the larger; both sides; the run.
    margin: tuple[float, float, float, str] | None


@cache
def counted():
    """Return what was counted of each notebook whose code is still the same: name -> runs."""
    stored = record.read(STORED)
    paths = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    return {
        name: stored[name]["runs"] if stored.get(name, {}).get("code") == fingerprint(path) else {}
        for name, path in paths.items()
    }


def rows(runs):
    """Return a chapter's claims, in the order of its code."""
    texts = {text: None for one in runs.values() for text in one["claims"]}
    return [
        Row(
            text,
            sum(one["claims"].get(text, False) for one in runs.values()),
            len(runs),
            min(
                (
                    (*one["margins"][text], name)
                    for name, one in runs.items()
                    # Against 0, the difference is all of the larger side, however small that is.
                    if text in one.get("margins", {}) and 0 not in one["margins"][text][1:]
                ),
                default=None,
            ),
        )
        for text in texts
    ]


def span(texts):
    """Return some texts with the lowest and with the highest of each of their numbers.

    Texts that differ in more than their numbers are counted.
    """
    different = list(dict.fromkeys(texts))
    if len(different) < 2:
        return different[0] if different else "–"
    if len({NUMBER.sub("#", text) for text in different}) > 1:
        times = {text: texts.count(text) for text in different}
        counts = [f"{text} ({n} time{'s' * (n > 1)})" for text, n in times.items()]
        return "; ".join(counts) if len(counts) < 4 else f"{len(counts)} different texts"
    places = [sorted(found, key=value) for found in zip(*map(NUMBER.findall, different))]
    return " … ".join(_filled(different[0], [place[end] for place in places]) for end in (0, -1))


def _filled(text, numbers):
    """Return a text with other numbers, in the order in which it has its own."""
    left = iter(numbers)
    return NUMBER.sub(lambda _: next(left), text)


def value(number):
    plain_text = number.translate(str.maketrans(f"−{SUPERSCRIPTS}", "--0123456789", ","))
    return float(plain_text.replace(" × 10", "e"))


def stopped(runs):
    """Return what ended runs before their last cell: each is a run in which nothing is certain."""
    return [f"{name}: {one['error']}" for name, one in runs.items() if one["error"]]


def key_of(name):
    """Return the number of a notebook as addresses have it: 06b."""
    return name.split("_")[0]


def anchor(name, number):
    return f"claim-{key_of(name)}-{number}"


def mark(number):
    """Return the anchor of the code behind a row, in its chapter."""
    return f"asserted-{number}"


def shown(name):
    """Return the claims whose code is on the chapter's page."""
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4).cells
    return {
        text
        for cell in cells
        if cell.cell_type == "code"
        and not {"remove-cell", "remove-input"} & set(cell.metadata.get("tags", []))
        for text in counting(cell.source)[1]
    }


def title(name):
    """Return the chapter's number and its heading, which has the number of a part: 6b."""
    heading = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4).cells[0].source
    number = f"{key_of(name).lstrip('0')}. "
    return number + heading.splitlines()[0].lstrip("# ").removeprefix(number)


def seeds(runs):
    """Return on how many seeds of which data: data -> number."""
    return {data: sum(name.startswith(data) for name in runs) for data in DATA}


def in_numbers(runs):
    """Say so in a cell of a table: `10 + 10`."""
    return " + ".join(map(str, seeds(runs).values()))


def in_a_sentence(runs):
    """Say so in a sentence: `10 on MNIST and 10 on the digits`."""
    named = {"mnist": "on MNIST", "digits": "on the digits"}
    return " and ".join(f"{count} {named[data]}" for data, count in seeds(runs).items() if count)


def margin_text(row):
    """Say how near the row came to failing, or nothing."""
    if row.margin is None:
        return ""
    margin, left, right, run = row.margin
    data, seed = run.split()
    return f"{margin:z.1%} ({left:.4g} and {right:.4g}; {data}, seed {seed})"


def summary(chapters):
    """Return the table of all chapters, as MyST."""
    lines = [
        "| chapter | claims | seeds | failed | narrowest margin |",
        "|---|---|---|---|---|",
    ]
    for name, runs in chapters.items():
        link = f"{{doc}}`{title(name)} </notebooks/{name}>`"
        found = rows(runs)
        failed = sum(row.runs - row.held for row in found) + len(stopped(runs))
        near = min((row.margin[0] for row in found if row.margin), default=None)
        lines.append(
            f"| {link} | {len(found)} | {in_numbers(runs)} | {failed} "
            f"| {'–' if near is None else f'{near:z.1%}'} |"
            if runs
            else f"| {link} | – | none since its code changed | – | – |"
        )
    every = [row for runs in chapters.values() for row in rows(runs)]
    total, failed = sum(row.runs for row in every), sum(row.runs - row.held for row in every)
    failed += sum(len(stopped(runs)) for runs in chapters.values())
    runs = sum(len(runs) for runs in chapters.values())
    lines.append(f"| **together** | {len(every)} | {runs:,} runs | {failed} of {total:,} | |")
    return "\n".join(lines)


class Claims(SphinxDirective):
    """`{claims}`: the table of all chapters; and each row of each, folded."""

    def run(self):
        self.env.note_dependency(str(STORED))
        chapters = counted()
        made = self.parse_text_to_nodes(summary(chapters))
        for name, runs in chapters.items():
            if runs:
                made += self.parse_text_to_nodes(
                    f":::{{dropdown}} {title(name)}\n```{{claims-of}} {name}\n```\n:::"
                )
        return made


class ClaimsOf(SphinxDirective):
    """`{claims-of} NAME`: the rows of a chapter, and the range of each number in its sentences."""

    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        runs = counted()[name]
        on_page = shown(name)
        chapter = self.env.app.builder.get_relative_uri(self.env.docname, f"notebooks/{name}")
        listed = nodes.enumerated_list(enumtype="arabic", classes=["ledger"])
        for number, row in enumerate(rows(runs), start=1):
            said = f"held in {row.held} of {row.runs}"
            if row.margin:
                said += f"; narrowest by {margin_text(row)}"
            item = nodes.list_item("", ids=[anchor(name, number)])
            code = nodes.literal(row.text, row.text)
            if row.text in on_page:
                address = f"{chapter}#{mark(number)}"
                code = nodes.reference("", "", code, refuri=address, internal=True)
            item += nodes.paragraph("", "", code)
            item += nodes.paragraph(said, said)
            listed += item
        ended = [nodes.paragraph(text, text) for text in stopped(runs)]
        return [*ended, listed, *self._numbers(runs)]

    def _numbers(self, runs):
        keys = {key: None for one in runs.values() for key in one.get("glued", {})}
        if not keys:
            return []
        lines = [
            "The numbers in its sentences that vary, lowest and highest:",
            "",
            "| key | " + " | ".join(DATA) + " |",
            "|---" * (1 + len(DATA)) + "|",
        ]
        alike = 0
        for key in keys:
            texts = [[o["glued"][key] for n, o in runs.items() if n.startswith(d)] for d in DATA]
            if all(len(set(some)) < 2 for some in texts):
                alike += 1
            else:
                lines.append(f"| `{key}` | " + " | ".join(plain(span(t)) for t in texts) + " |")
        if alike:
            lines += ["", f"(Not listed: {alike} that are the same in all runs on a data set.)"]
        return self.parse_text_to_nodes("\n".join(lines))


def plain(text):
    """Return a text for a cell of a table, without what MyST would read as a mark."""
    return re.sub(r"([|\\`*_$<>\[\]{}])", r"\\\1", text)


class Faults(SphinxDirective):
    """`{faults}`: what the last full run of each target tried, `make test` first."""

    def run(self):
        lines = ["| fault | tried | outcome | by |", "|---|---|---|---|"]
        for file in sorted(
            FAULTS.glob("*.json"), key=lambda file: (file.stem != "test", file.stem)
        ):
            self.env.note_dependency(str(file))
            for fault, one in json.loads(file.read_text("utf8")).items():
                passed = "passed" if one["tried"] else "not tried"
                outcome = "**failed**" if one["failed"] else passed
                lines.append(f"| {fault} | {one['tried']:,} | {outcome} | `make {file.stem}` |")
        return self.parse_text_to_nodes("\n".join(lines))


def stretches(numbers):
    """Write sorted numbers as in "9, 12 and 15 to 21"."""
    breaks = [i for i in range(1, len(numbers)) if numbers[i] > numbers[i - 1] + 1]
    parts = [numbers[i:j] for i, j in zip([0, *breaks], [*breaks, len(numbers)])]
    texts = [f"{part[0]} to {part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts]
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def name_rows(app, doctree, docname):
    """After code that asserts something, say in which rows of the ledger."""
    name = docname.removeprefix("notebooks/")
    if app.builder.format != "html" or name == docname:
        return
    runs = counted()[name]
    numbers = {row.text: number for number, row in enumerate(rows(runs), start=1)}
    for source in doctree.findall(nodes.container):
        if source.get("nb_element") != "cell_code_source":
            continue
        _, texts = counting(source.astext())
        found = sorted(numbers[text] for text in texts if text in numbers)
        if found:
            address = app.builder.get_relative_uri(docname, PAGE)
            reference = nodes.reference(
                "",
                f"row{'s' * (len(found) > 1)} {stretches(found)}",
                refuri=f"{address}#{anchor(name, found[0])}",
                internal=True,
            )
            line = nodes.paragraph("", "Counted on other seeds, ", classes=["ledger-rows"])
            line += [
                nodes.Text(f"{in_a_sentence(runs)}: "),
                reference,
                nodes.Text(" of the record."),
            ]
            source += line
            source["ids"] += map(mark, found)


def setup(app):
    app.add_directive("claims", Claims)
    app.add_directive("claims-of", ClaimsOf)
    app.add_directive("faults", Faults)
    app.connect("doctree-resolved", name_rows)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
