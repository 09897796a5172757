"""The page that shows the record of claims and faults."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import ledger, record

ROOT = Path(__file__).parents[1]
RUNS = {
    f"digits {seed}": {
        "claims": {"x > 1": True, "y > 1": seed == 0, "z": True},
        "margins": {"x > 1": [0.5 - seed / 10, 2, 1], "y > 1": [1 - 2 * seed, 2, 1]},
        "glued": {"a": f"{seed}.5 nats", "b": "none", "c": "1,000"},
        "error": None,
    }
    for seed in (0, 1)
}


def test_a_comparison_with_0_has_no_margin():
    run = {"claims": {"x > 0": True}, "margins": {"x > 0": [1, 0.1, 0]}, "glued": {}, "error": None}
    assert ledger.rows({"digits 0": run}) == [ledger.Row("x > 0", 1, 1, None)]


def test_a_row_has_the_narrowest_margin_of_its_claim():
    assert ledger.rows(RUNS) == [
        ledger.Row("x > 1", 2, 2, (0.4, 2, 1, "digits 1")),
        ledger.Row("y > 1", 1, 2, (-1, 2, 1, "digits 1")),
        ledger.Row("z", 2, 2, None),
    ]
    assert ledger.margin_text(ledger.rows(RUNS)[0]) == "40.0% (2 and 1; digits, seed 1)"
    rounded = ledger.Row("x >= 1", 1, 1, (-1e-9, 1, 1, "mnist 0"))
    assert ledger.margin_text(rounded) == "0.0% (1 and 1; mnist, seed 0)"


@pytest.fixture
def chapters(tmp_path, monkeypatch):
    """A chapter, and its second part, whose heading has its number."""
    (tmp_path / "notebooks").mkdir()
    for name, heading in (("01_one", "# One"), ("01b_two", "# 1b. Two")):
        cells = [nbformat.v4.new_markdown_cell(heading)]
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    monkeypatch.setattr(ledger, "ROOT", tmp_path)


def test_the_table_counts_what_failed(chapters):
    table = ledger.summary({"01_one": RUNS, "01b_two": {}})
    assert "| {doc}`1. One </notebooks/01_one>` | 3 | 0 + 2 | 1 | -100.0% |" in table
    assert "| {doc}`1b. Two </notebooks/01b_two>` | – | none since its code changed |" in table
    assert "| 3 | 2 runs | 1 of 6 |" in table


def test_a_notebook_that_breaks_is_never_said_to_hold(chapters):
    broken = {"claims": {"2 > 1": True}, "error": "ZeroDivisionError: division by zero"}
    table = ledger.summary({"01_one": {"digits 0": broken}})
    assert "| {doc}`1. One </notebooks/01_one>` | 1 | 0 + 1 | 1 | – |" in table


@pytest.mark.parametrize(
    "texts, shown",
    [
        (["0.5 nats", "1.5 nats", "1.2 nats"], "0.5 nats … 1.5 nats"),
        (["1,000", "900"], "900 … 1,000"),
        (["-2 (-3 to 1)", "−4 (−5 to 0)"], "−4 (−5 to 0) … -2 (-3 to 1)"),
        (["0% and 30%", "0% and 51%", "0% and 29%"], "0% and 29% … 0% and 51%"),
        (["+0.1", "−0.2", "0.0"], "−0.2 … +0.1"),
        (["4 × 10⁻⁵", "2e-05", "9 × 10⁻⁶"], "9 × 10⁻⁶ … 4 × 10⁻⁵"),
        (["always"] * 3, "always"),
        (["free bits", "none", "none"], "free bits (1 time); none (2 times)"),
        (["one", "two", "three", "four"], "4 different texts"),
    ],
)
def test_the_range_of_a_number(texts, shown):
    assert ledger.span(texts) == shown


def test_a_notebook_whose_code_changed_has_no_rows(tmp_path, monkeypatch):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 2 > 1")])
    path = tmp_path / "notebooks" / "01_one.ipynb"
    path.parent.mkdir()
    nbformat.write(notebook, path)
    monkeypatch.setattr(ledger, "ROOT", tmp_path)
    monkeypatch.setattr(ledger, "STORED", tmp_path / "claims.json")
    for code, runs in ((ledger.fingerprint(path), RUNS), ("another", {})):
        stored = {"01_one": {"code": code, "runs": RUNS}}
        record.write(tmp_path / "claims.json", stored)
        ledger.counted.cache_clear()
        assert ledger.counted() == {"01_one": runs}
    ledger.counted.cache_clear()


def test_the_rows_stand_below_the_code_and_lead_to_the_page(tmp_path):
    """A whole build of two pages: a chapter with one claim, and the page of the ledger."""
    for folder in ("notebooks", "book", "benchmarks"):
        (tmp_path / folder).mkdir()
    cells = [
        nbformat.v4.new_markdown_cell("# One"),
        nbformat.v4.new_code_cell("x = 2"),
        nbformat.v4.new_code_cell("assert x > 1  # surely"),
    ]
    path = tmp_path / "notebooks" / "01_one.ipynb"
    metadata = {"language_info": {"name": "python", "pygments_lexer": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    stored = {"01_one": {"code": ledger.fingerprint(path), "runs": RUNS}}
    record.write(tmp_path / "benchmarks" / "claims.json", stored)
    faults = {
        "a page torn out": {"tried": 1_000, "failed": False},
        "a page upside down": {"tried": 3, "failed": True},
        "a page wet": {"tried": 0, "failed": True},
        "a page burnt": {"tried": 0, "failed": False},
    }
    (tmp_path / "benchmarks" / "faults").mkdir()
    (tmp_path / "benchmarks" / "faults" / "test.json").write_text(json.dumps(faults))
    more = {"an old page": {"tried": 2_000, "failed": False}}
    (tmp_path / "benchmarks" / "faults" / "fuzz.json").write_text(json.dumps(more))
    page = "# Tested\n\n```{faults}\n```\n\n```{claims}\n```\n"
    (tmp_path / "book" / "tested.md").write_text(page)
    (tmp_path / "index.md").write_text(
        "# All\n\n```{toctree}\nnotebooks/01_one\nbook/tested\n```\n"
    )
    (tmp_path / "conf.py").write_text(
        "import pathlib, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from tools import ledger\n"
        "ledger.ROOT = pathlib.Path(__file__).parent\n"
        "ledger.STORED = ledger.ROOT / 'benchmarks' / 'claims.json'\n"
        "ledger.FAULTS = ledger.ROOT / 'benchmarks' / 'faults'\n"
        "extensions = ['myst_nb', 'sphinx_design', 'tools.ledger']\n"
        "nb_execution_mode = 'off'\n"
    )
    built = tmp_path / "built"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", str(tmp_path), str(built)]
    subprocess.run(command, check=True)
    chapter = (built / "notebooks" / "01_one.html").read_text("utf8")
    assert chapter.count('href="../book/tested.html#claim-01-1"') == 1
    assert "Counted on other seeds, 2 on the digits: " in chapter and 'id="asserted-1"' in chapter
    tested = (built / "book" / "tested.html").read_text("utf8")
    for part in (
        'id="claim-01-1"',
        'href="../notebooks/01_one.html#asserted-1"',
        "held in 2 of 2; narrowest by 40.0%",
        "held in 1 of 2",
        "0.5 nats … 1.5 nats",
        "(Not listed: 2 that are the same in all runs on a data set.)",
        "<td><p>1,000</p></td>",
        "<td><p>2,000</p></td>",
        "passed",
    ):
        assert part in tested, part
    outcomes = [tested.split(f"<p>{fault}</p>")[1].split("</tr>")[0] for fault in faults]
    for outcome, told in zip(outcomes, ("passed", "failed", "failed", "not tried")):
        assert told in outcome and '"pre">test<' in outcome
    assert '"pre">fuzz<' in tested.split("<p>an old page</p>")[1]


@pytest.mark.parametrize(
    "numbers, text",
    [
        ([3], "3"),
        ([3, 4], "3 to 4"),
        ([9, 15, 16, 17], "9 and 15 to 17"),
        ([1, 2, 5, 7, 8], "1 to 2, 5 and 7 to 8"),
    ],
)
def test_rows_are_named_by_their_stretches(numbers, text):
    assert ledger.stretches(numbers) == text


@pytest.mark.parametrize("tests, target", [("tests", "test"), ("tests_browser", "test-browser")])
def test_the_record_of_faults_has_those_that_are_tried_now(tests, target):
    """`make test` and `make test-browser` write them; their records are committed."""
    marked = set()
    for file in (ROOT / tests).glob("*.py"):
        if file.stem not in ("test_record_faults", "test_ledger"):  # whose faults are made up
            marked |= set(re.findall(r'mark\.fault\(\s*"([^"]+)"', file.read_text("utf8")))
    kept = json.loads((ledger.FAULTS / f"{target}.json").read_text("utf8"))
    assert marked and kept.keys() == marked


def recorded(name):
    """What the runs of a chapter saw: on both data sets, and on ten seeds or more of each."""
    runs = record.read(ledger.STORED)[name]["runs"]
    assert min(ledger.seeds(runs).values()) >= 10
    return runs


def first_number(run, key):
    """The first number in a glued text, such as the mean in `−0.1 (−0.2 to 0.0)`."""
    return ledger.value(run["glued"][key].split()[0])


def lists_of_chapter_8(key, data):
    """The remedies that a sentence of chapter 8 lists: a set for each run of the record."""
    texts = [one["glued"][key] for name, one in recorded("08_remedies").items() if data in name]
    return [set(text.replace(" and ", ", ").split(", ")) for text in texts]


def test_what_chapter_7_says_of_its_other_runs_is_in_the_record():
    """With the hidden layer, the annealed models' ELBO is below the decoder's without a code."""
    for run in recorded("07_context_decoders").values():
        saved, gain = (first_number(run, key) for key in ("saved_hidden", "hidden_gain"))
        # In bits, and in nats; even if both were rounded to our favour.
        assert math.log(2) * (saved + 0.05) + gain + 0.05 < 0


def test_on_the_pixels_the_model_with_the_most_kl_gains_by_one_bound_and_loses_by_the_other():
    """Chapter 8 says so of the run on its page, in two numbers of the quality gate."""
    for run in recorded("08_remedies").values():
        assert run["glued"]["most_kl"] == "quality gate"
        assert first_number(run, "most_kl_gain") < 0 < first_number(run, "pixels_bound_gate")


def test_what_chapter_8_says_of_its_other_runs_is_in_the_record():
    """Its lists vary from run to run, and a run can't assert what others list."""
    always = {"skip connections", "one hidden layer", "quality gate", "BN-VAE", "σ-VAE (optimal)"}
    over_line = [
        *lists_of_chapter_8("over_line", "mnist"),
        *lists_of_chapter_8("over_line", "digits"),
    ]
    assert set.intersection(*over_line) == always
    on_mnist, on_digits = (lists_of_chapter_8("helped", data) for data in ("mnist", "digits"))
    assert set.intersection(*on_mnist, *on_digits) == {"longer training"}
    lost = {"linear annealing", "encoder steps on top"}
    assert lost <= set.intersection(*on_mnist)
    assert sum(bool(one & lost) for one in on_digits) <= len(on_digits) / 5  # "hardly ever"
