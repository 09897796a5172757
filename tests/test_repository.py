"""The repository agrees with itself: addresses, table of contents, keys, citations."""

import ast
import functools
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import vae_utils
from vae_utils import remedies

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))

# What each chapter promises: the keys under which its results are glued.
PROMISED_KEYS = {
    "01_theory": {
        "kl_monte_carlo_error",
        "elbo_gap_error",
        "approximation_gap",
        "amortisation_gap",
    },
    "02_autoencoder": {"ae_test_mse", "pca_test_mse", "ae_std_median"},
    "03_posterior_collapse": {
        "collapse_kl",
        "collapse_active_units",
        "collapse_mse",
        "mean_image_mse",
        "collapse_sample_std",
        "worth_of_a_code_bound",
        "collapsed_alive_share",
        "recovered_kl",
        "dead_kl",
        "calibrated_variance",
        "calibrated_kl",
        "half_kl",
    },
    "04_kld_annealing": {
        "anneal_wrong_scale_kl",
        "anneal_kl",
        "constant_kl",
        "anneal_elbo",
        "constant_elbo",
        "original_gate_opened",
        "original_final_weight",
        "generation_score_ae",
        "generation_score_annealed",
    },
    "04b_playground": {"best_rate", "fastest_loss", "slowest_loss"},
    "05_low_capacity_decoder": {
        "plateau_steps_conv",
        "plateau_steps_mlp",
        "probe_accuracy",
        "observations_confirmed",
        "observations_all",
        "plateau_four_layers_beta0",
        "plateau_one_layer_beta0",
        "marginal_kl_bound",
        "gap_in_sigmas",
        "generation_score_prior",
        "generation_score_fitted",
    },
    "06_collapse_exactly": {
        "linear_active_mismatch",
        "linear_kl_error",
        "linear_elbo_gap",
        "iwae_vs_exact",
        "identifiable_information_gap",
    },
    "06b_plateau_law": {"plateau_law_error"},
    "07_context_decoders": {
        "context_kl_spearman",
        *(f"{part}_gap_{k}" for part in ("family", "encoder") for k in ("0", "195", "hidden")),
    },
    "07b_one_rule": {
        *(f"stability_threshold_{context}" for context in (0, 1, 14, 42, 195)),
        "perfect_decoder_threshold",
    },
    "08_remedies": {"remedy_table", "bench_rows", "best_on_plateau", "own_variance_gain"},
    "09_field_guide": {
        "constant_kl",
        "negative",
        "unexplained_annealed",
        "dead_information",
        "recovered_kl",
        "mean_above",
    },
}
CHAPTERS = sorted(PROMISED_KEYS)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def cells(chapter, kind):
    notebook = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text("utf8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def prose(chapter):
    """The Markdown of a chapter, and the captions of its figures."""
    captions = [figure_of(cell).get("caption", "") for cell in cells(chapter, "code")]
    return "\n".join([*map(source, cells(chapter, "markdown")), *captions])


def figure_of(cell):
    return cell["metadata"].get("mystnb", {}).get("figure", {})


def figure_names():
    return [
        figure_of(cell).get("name")
        for chapter in CHAPTERS
        for cell in cells(chapter, "code")
        if figure_of(cell)
    ]


def glued_keys(chapter):
    """The keys of all calls of `glue`, as patterns: f"kl_{name}" is any key kl_…."""
    keys = set()
    for cell in cells(chapter, "code"):
        tree = ast.parse(TransformerManager().transform_cell(source(cell)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "glue":
                keys.add(pattern_of(node.args[0]))
    return keys


def pattern_of(key):
    if isinstance(key, ast.Constant):
        return re.escape(key.value)
    assert isinstance(key, ast.JoinedStr), f"a key is written out, unlike {ast.unparse(key)}"
    pieces = [re.escape(v.value) if isinstance(v, ast.Constant) else r"(\w+)" for v in key.values]
    assert pieces != [r"(\w+)"], f"a key that could be any: {ast.unparse(key)}"
    return "".join(pieces)


def never_glued(wanted, chapter):
    """Those of the `wanted` keys that no call of `glue` can make with the words of the code."""
    words = set(re.findall(r"\w+", " ".join(map(source, cells(chapter, "code"))).lower()))

    def is_glued(key):
        matches = (re.fullmatch(pattern, key) for pattern in glued_keys(chapter))
        return any(match and set(match.groups()) <= words for match in matches)

    return {key for key in wanted if not is_glued(key)}


def used_keys(chapter):
    return set(re.findall(r"\{glue(?::\w+)?\}`([^`:]+)(?::[^`]*)?`", prose(chapter)))


def toc_files():
    chapters = [chapter for part in TOC["parts"] for chapter in part["chapters"]]
    sections = [section for chapter in chapters for section in chapter.get("sections", [])]
    return [TOC["root"], *(entry["file"] for entry in [*chapters, *sections])]


def page(name):
    """The source file of an entry of the table of contents, or None."""
    files = [ROOT / f"{name}{suffix}" for suffix in (".md", ".ipynb")]
    return next((file for file in files if file.is_file()), None)


# ---- addresses ---------------------------------------------------------------


def slug():
    """owner/name, as in the address of the repository."""
    match = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", CONFIG["repository"]["url"])
    assert match, "the address of the repository must be https://github.com/owner/name"
    return match[1]


@each_chapter
def test_launch_buttons_lead_to_files_of_the_repository(chapter):
    # The theme puts path_to_book in front of the page's name, and its suffix behind it.
    entry = f"notebooks/{chapter}"
    assert entry in toc_files()
    path = "/".join(filter(None, [CONFIG["repository"]["path_to_book"].strip("/"), entry]))
    assert (ROOT / f"{path}.ipynb").is_file()


def test_launch_buttons_go_where_the_environment_is():
    buttons = CONFIG["launch_buttons"]
    assert buttons["binderhub_url"] == "https://mybinder.org"
    assert buttons["colab_url"] == "https://colab.research.google.com"
    assert buttons["notebook_interface"] == "jupyterlab"
    # Binder installs requirements.txt, and then the package that these two describe.
    assert "jupyterlab" in pins("requirements.txt")
    assert {"build-system", "project"} <= PYPROJECT.keys()
    # Binder takes another Python, and other requirements, unless told so here.
    assert (ROOT / "runtime.txt").read_text("utf8").strip() == "python-3.11"
    assert not (ROOT / "binder").exists() and not (ROOT / ".binder").exists()


def test_published_branch_is_the_branch_of_the_buttons():
    workflow = (ROOT / ".github/workflows/book.yml").read_text("utf8")
    assert f"refs/heads/{CONFIG['repository']['branch']}'" in workflow


def test_one_address_everywhere():
    """Of the repository, and of its pages."""
    owner, project = slug().split("/")
    top = ["CITATION.cff", "README.md", "pyproject.toml"]
    pages = ["book/intro.md", "book/how-to-use.md", "book/tested.md"]
    for pattern, own, files in (
        (r"github\.com/([\w-]+/[\w-]+)", slug(), [*top, *pages]),
        (r"([\w-]+\.github\.io/[\w-]+)", f"{owner}.github.io/{project}", [*top, "CHANGELOG.md"]),
        (r"`([\w-]+/[\w-]+)` and `", slug(), ["CONTRIBUTING.md"]),
    ):
        for name in files:
            assert set(re.findall(pattern, (ROOT / name).read_text("utf8"))) == {own}, name


@each_chapter
def test_colab_installs_the_package_from_the_same_address(chapter):
    installs = [source(c) for c in cells(chapter, "code") if "google.colab" in source(c)]
    assert len(installs) == 1
    assert f'"vae-utils[notebook] @ git+https://github.com/{slug()}"' in installs[0]
    assert cells(chapter, "code")[0]["metadata"].get("tags") == ["remove-cell"]
    assert source(cells(chapter, "code")[0]) == installs[0]


# ---- the table of contents ---------------------------------------------------


def test_table_of_contents_and_files_agree():
    missing = [name for name in toc_files() if page(name) is None]
    assert not missing
    left_out = [f for f in NOTEBOOKS if f"notebooks/{f.stem}" not in toc_files()]
    assert not left_out
    assert [f.stem for f in NOTEBOOKS] == CHAPTERS
    pages = {f"book/{file.stem}" for file in (ROOT / "book").glob("*.md")}
    assert pages <= set(toc_files())


def test_no_page_has_left_its_address():
    """No page was renamed so far. The first that is needs a redirect, as of sphinx-reredirects."""
    command = ["git", "log", "--format=", "--name-only", "--diff-filter=A", "--no-renames", "--"]
    patterns = ["book/*.md", "notebooks/*.ipynb"]
    done = subprocess.run([*command, *patterns], cwd=ROOT, capture_output=True, text=True)
    # Without a history, as in an unpacked archive, these are the pages of now.
    ever = done.stdout.split() or [str(page(name).relative_to(ROOT)) for name in toc_files()]
    assert len(ever) > 20
    gone = [name for name in ever if name.rsplit(".", 1)[0] not in toc_files()]
    assert not gone, f"old addresses lead nowhere: {gone}"


# ---- notebooks ---------------------------------------------------------------


@each_chapter
def test_notebooks_are_stored_without_outputs(chapter):
    for cell in cells(chapter, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@each_chapter
def test_no_cell_is_skipped_or_may_fail(chapter):
    notebook = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text("utf8"))
    text = json.dumps([notebook["metadata"], [c["metadata"] for c in notebook["cells"]]])
    for forbidden in ("skip", "raises-exception", "mock", "allow_errors", "execution_mode"):
        assert forbidden not in text
    assert CONFIG["execute"]["execute_notebooks"] == "force"
    assert not CONFIG["execute"].get("exclude_patterns")
    assert not CONFIG["execute"].get("allow_errors", False)


@each_chapter
def test_promised_results_are_glued_and_shown(chapter):
    assert not never_glued(PROMISED_KEYS[chapter], chapter)
    assert not PROMISED_KEYS[chapter] - used_keys(chapter), "glued, but not in the text"


@each_chapter
def test_numbers_in_prose_are_glued_in_the_same_notebook(chapter):
    assert used_keys(chapter), "a chapter without a computed number in its prose"
    assert not never_glued(used_keys(chapter), chapter)


@each_chapter
def test_cells_that_glue_print_for_those_who_run_them_and_not_on_the_page(chapter):
    """Their outputs stay off the page, so no figure and no displayed code may be among them."""
    gluing = [cell for cell in cells(chapter, "code") if re.search(r"\bglue\(", source(cell))]
    assert gluing
    for cell in gluing:
        assert "remove-output" in cell["metadata"].get("tags", []), source(cell)
        assert not figure_of(cell) and not re.search(r"\bsource\(", source(cell)), source(cell)
        assert "Code(" not in source(cell), source(cell)
    for cell in cells(chapter, "code"):
        # Buttons that need a kernel would be dead on the page.
        needs_a_kernel = source(cell).startswith("Playground(")
        hidden = "remove-output" in cell["metadata"].get("tags", [])
        assert hidden == (cell in gluing or needs_a_kernel), source(cell)


@each_chapter
def test_figures_have_caption_name_and_alternative_text(chapter):
    figures = [cell for cell in cells(chapter, "code") if figure_of(cell)]
    assert figures or any("sliders." in source(cell) for cell in cells(chapter, "code"))
    for cell in figures:
        figure = figure_of(cell)
        assert len(figure.get("caption", "")) > 20, f"no caption: {source(cell)}"
        assert re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")), f"no name: {source(cell)}"
        alt = cell["metadata"]["mystnb"].get("image", {}).get("alt", "")
        assert len(alt) > 40 and alt.endswith("."), f"no alternative text: {figure['name']}"


def test_names_of_figures_are_unique_and_references_lead_somewhere():
    names = figure_names()
    assert len(names) == len(set(names))
    for chapter in CHAPTERS:
        wanted = set(re.findall(r"\{numref\}`(?:[^`<]*<)?([^`>]+)>?`", prose(chapter)))
        assert wanted <= set(names), f"{chapter}: {wanted - set(names)}"


@each_chapter
def test_chapters_are_called_by_their_numbers(chapter):
    """Their titles are sentences, hard to read within another one."""
    links = re.findall(r"\{doc\}`([^`<]*)<?((?:\.\./notebooks/)?\d\w+)>?`", prose(chapter))
    for words, target in links:
        number = re.search(r"\d+\w?(?=_)", target)[0].lstrip("0")
        assert words.strip().lower() == f"chapter {number}", target


def test_the_first_page_numbers_the_chapters_as_the_side_bar_does():
    page = (ROOT / "book/intro.md").read_text("utf8")
    shown = re.findall(r"^(?:(\d+)\\\. )?\{doc\}`\.\./notebooks/(\w+)`$", page, re.M)
    assert [name for _, name in shown] == CHAPTERS
    for number, name in shown:
        key = name.split("_")[0].lstrip("0")
        # Sphinx gives no numbers to pages below a chapter: their headings have their own.
        has_own = source(cells(name, "markdown")[0]).startswith(f"# {key}. ")
        assert (number == key) != has_own


# ---- citations ---------------------------------------------------------------


def test_citations_and_bibliography_agree():
    known = re.findall(r"^@\w+\{(\w+),", (ROOT / "book/references.bib").read_text("utf8"), re.M)
    assert len(known) == len(set(known))
    texts = {chapter: prose(chapter) for chapter in CHAPTERS}
    texts |= {file.name: file.read_text("utf8") for file in (ROOT / "book").glob("*.md")}
    cited = set()
    for name, text in texts.items():
        for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text):
            keys = {key.strip() for key in group.split(",")}
            assert keys <= set(known), f"{name} cites {keys - set(known)}"
            cited |= keys
    assert cited == set(known), f"cited nowhere: {set(known) - cited}"


# ---- what a reader copies ----------------------------------------------------


def test_code_of_the_pages_runs(tmp_path):
    text = (ROOT / "book/how-to-use.md").read_text("utf8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    script = tmp_path / "blocks.py"
    script.write_text("import matplotlib\nmatplotlib.use('agg')\n" + "\n".join(blocks), "utf8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "units are active" in done.stdout


def test_code_of_the_readme_trains_on_images_of_ones_own(tmp_path):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf8"), re.S)
    script = tmp_path / "block.py"
    script.write_text(block, "utf8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search("[4-8] of 8 units are active", done.stdout)
    assert (tmp_path / "vae.keras").is_file()
    exported = tf.saved_model.load(str(tmp_path / "vae"))
    assert exported.serve(np.full((3, 20, 28, 3), 0.5, "float32")).shape == (3, 20, 28, 3)


# ---- what is installed -------------------------------------------------------


def pinned_lines(name):
    """The lines of a file of requirements, each with its hashes, without comments."""
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text("utf8"), flags=re.M)
    return [line for line in text.replace("\\\n", " ").splitlines() if line]


def pins(name):
    """Package -> its exact version."""
    pinned = (line.split()[0].split("==") for line in pinned_lines(name) if "==" in line)
    return {canonicalize_name(package): version for package, version in pinned}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt"])
def test_each_requirement_is_pinned_with_hashes_and_no_file_names_an_address(name):
    assert "//" not in (ROOT / name).read_text("utf8")
    first, *lines = pinned_lines(name)
    assert first == "--only-binary :all:"
    for line in lines:
        assert re.fullmatch(r"[\w-]+==[\w.]+( ; [^-]+)?( +--hash=sha256:[0-9a-f]{64})+", line), line
    assert len(pins(name)) == len(lines), "one version for all Pythons, so that they agree"


def test_the_oldest_versions_are_pinned():
    for line in pinned_lines("oldest.txt"):
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_pins_are_those_of_all_that_is_asked_for():
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    extras = project["optional-dependencies"]
    book = [*project["dependencies"], *extras["cpu"], *extras["notebook"], *groups["book"]]
    for name, wanted in (
        ("requirements.txt", book),
        ("requirements-test.txt", [*book, *extras["cluster"], *groups["test"]]),
    ):
        pinned = pins(name)
        for requirement in map(Requirement, wanted):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version and version in requirement.specifier, f"{name}: {requirement}"


def test_the_tests_run_with_the_versions_of_the_book():
    assert pins("requirements.txt").items() <= pins("requirements-test.txt").items()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize(
    ("system", "machine", "wanted"),
    [
        ("linux", "x86_64", "tensorflow-cpu"),
        ("linux", "aarch64", "tensorflow"),
        ("darwin", "arm64", "tensorflow"),
    ],
)
def test_each_system_gets_one_tensorflow(name, python, system, machine, wanted):
    """Both at once would write over each other's files."""
    there = {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    lines = [line.split(" --hash")[0] for line in pinned_lines(name)[1:]]
    taken = [one for one in map(Requirement, lines) if not one.marker or one.marker.evaluate(there)]
    assert [one.name for one in taken if one.name.startswith("tensorflow")] == [wanted]


def release(version):
    """A version without zeros at its end: 3.10.0 is 3.10."""
    return re.sub(r"(\.0)+$", "", version)


def test_lower_bounds_are_the_versions_that_are_tested():
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    bounds = dict(
        dependency.split(">=") for dependency in [*project["dependencies"], *extras["tensorflow"]]
    )
    oldest = pins("oldest.txt")
    assert {name: release(oldest[name]) for name in bounds} == {
        name: release(bound) for name, bound in bounds.items()
    }
    for requirement in map(Requirement, extras["cpu"]):
        assert str(requirement.specifier) == f">={bounds['tensorflow']}"
    python = project["requires-python"].removeprefix(">=")
    assert f"\nOLDEST_PYTHON := {python}\n" in MAKEFILE


def test_hooks_have_the_versions_of_the_requirements():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf8"))
    pinned = pins("requirements-test.txt")
    for repo in config["repos"]:
        name = repo["repo"].rsplit("/", 1)[1].removesuffix("-pre-commit")
        assert repo["rev"].removeprefix("v") == pinned[name], name


# ---- what runs elsewhere -----------------------------------------------------


def steps():
    """Each step of the workflows: (name of the file, step)."""
    for file in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for job in yaml.safe_load(file.read_text("utf8"))["jobs"].values():
            each = job.get("strategy", {}).get("matrix", {}).get("include", [])
            targets = " ".join(entry["target"] for entry in each)
            for step in job["steps"]:
                step["run"] = step.get("run", "").replace("${{ matrix.target }}", targets)
                yield file.name, step


def test_the_workflows_call_targets_that_the_makefile_has():
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.M)[1].split()
    lines = [(name, line) for name, step in steps() for line in step["run"].splitlines()]
    lines += [(".ci/run", line) for line in (ROOT / ".ci/run").read_text("utf8").splitlines()]
    called = set()
    for name, line in lines:
        if match := re.fullmatch(r"(?:\w+=\S+ )*make (.+)", line):
            targets = {word for word in match[1].split() if "=" not in word}
            assert targets <= set(phony), f"{name}: {line}"
            called |= targets
        elif name != ".ci/run":  # only what speaks to GitHub needs no target
            assert re.search(r"\bgh (issue|run|release) |^(else|fi)\b", line), f"{name}: {line}"
    assert {"test", "book", "test-browser", "downloads", "twice", "audit"} <= called
    assert {"test-oldest", "test-newest"} <= called


def test_where_the_tests_run_there_is_the_history_that_one_of_them_reads():
    found = set()
    for file in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for job in yaml.safe_load(file.read_text("utf8"))["jobs"].values():
            if any(re.search(r"\bmake test$", step.get("run", "")) for step in job["steps"]):
                assert job["steps"][0]["with"]["fetch-depth"] == 0, file.name
                found.add(file.name)
    assert found == {"book.yml", "release.yml"}


def test_a_release_is_called_what_it_contains(tmp_path):
    lines = {
        "Makefile": MAKEFILE,
        "CITATION.cff": "version: 1.2.3\n",
        "CHANGELOG.md": "## 1.2.3\n",
        "vae_utils/__init__.py": '__version__ = "1.2.3"\n',
    }
    (tmp_path / "vae_utils").mkdir()

    def check(**changes):
        for name, text in {**lines, **changes}.items():
            (tmp_path / name).write_text(text, "utf8")
        call = ["make", "check-tag", "TAG=v1.2.3"]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)

    assert check().returncode == 0
    for name in lines.keys() - {"Makefile"}:
        ended = check(**{name: lines[name].replace("1.2.3", "1.2.3.dev0")})
        assert ended.returncode != 0 and name in ended.stderr


def test_the_workflows_use_actions_of_one_commit_each():
    """A tag may be moved to other code."""
    used = [(name, step["uses"]) for name, step in steps() if "uses" in step]
    assert used
    for name, action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), f"{name}: {action}"


def test_no_installed_package_can_write_to_the_repository():
    """A job that may write runs no code of a checkout, and no checkout leaves its token behind."""
    for name, step in steps():
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False, name
    for file in (ROOT / ".github/workflows").glob("*.yml"):
        workflow = yaml.safe_load(file.read_text("utf8"))
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            if "write" in job.get("permissions", {}).values():
                for step in job["steps"]:
                    assert "checkout" not in step.get("uses", "")
                    assert not re.search(r"\b(make|pip|npm|npx)\b", step.get("run", ""))


ALONE = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("IPython", "ipywidgets", "matplotlib", "myst_nb"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import keras, vae_utils
assert not [name for name in sys.modules if name.startswith("vae_utils.notebook")]

registered = set(keras.saving.get_custom_objects())
for module in pkgutil.iter_modules(vae_utils.__path__):
    if module.name != "notebook":
        importlib.import_module(f"vae_utils.{module.name}")
assert set(keras.saving.get_custom_objects()) == registered
"""


def test_importing_the_package_needs_no_notebook_and_is_enough_to_load_any_model():
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]


def test_without_tensorflow_one_line_says_what_to_install():
    code = "import sys; sys.modules['tensorflow'] = None; import vae_utils"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode and "ImportError: vae_utils needs TensorFlow: pip" in done.stderr


def test_the_reference_page_shows_every_public_name_with_an_example():
    page = (ROOT / "book/package.md").read_text("utf8")
    shown = re.findall(r"^\.\. auto(?:class|function):: (?:vae_utils\.)?([\w.]+)$", page, re.M)
    wanted = set(vae_utils.__all__) - {"remedies", "schedules"}
    kinds = [
        f"schedules.{name}"
        for name, value in vars(vae_utils.schedules).items()
        if isinstance(value, type) and issubclass(value, vae_utils.schedules.Schedule)
    ]
    kinds += [
        f"remedies.{name}"
        for name, value in vars(remedies).items()
        if getattr(value, "__module__", "") == "vae_utils.remedies"
    ]
    assert len(kinds) == 18
    assert sorted(shown) == sorted([*wanted, *kinds])
    for name in shown:
        if name != "schedules.Schedule":  # the base, which nobody calls
            public = functools.reduce(getattr, name.split("."), vae_utils)
            assert ">>> " in public.__doc__, name


def test_the_version_is_one_that_the_changelog_leads_to():
    released = re.findall(r"^## (\d+\.\d+\.\d+)$", (ROOT / "CHANGELOG.md").read_text("utf8"), re.M)
    assert importlib.metadata.version("vae-utils") == vae_utils.__version__
    assert Version(vae_utils.__version__) >= Version(released[0])
