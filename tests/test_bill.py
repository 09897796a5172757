"""The bill of materials names what the book is built with, and nothing else."""

import importlib.metadata
import json
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

import vae_utils
from tools import bill
from tools.fetch_scripts import PACKAGES


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    file = tmp_path_factory.mktemp("bill") / "sbom.json"
    bill.main(file)
    return json.loads(file.read_text("utf8"))


def test_it_lists_the_packages_of_the_book_as_they_are_installed(written):
    listed = {canonicalize_name(one["name"]): one["version"] for one in written["components"]}
    (tensorflow,) = {"tensorflow", "tensorflow-cpu"} & listed.keys()
    for name in (tensorflow, "keras", "numpy", "sphinx", "jupyter-book"):
        assert listed[name] == importlib.metadata.version(name)
    assert written["metadata"]["component"]["version"] == vae_utils.__version__
    assert not {"pytest", "playwright", "onnx", "ruff"} & listed.keys()


def test_it_lists_the_scripts_of_the_pages_with_their_checksums(written):
    digests = {one["purl"]: one["hashes"] for one in written["components"] if "hashes" in one}
    for package, digest, _ in PACKAGES:
        purl = f"pkg:npm/{package.replace('@jupyter', '%40jupyter')}"
        assert digests[purl] == [{"alg": "SHA-256", "content": digest}]


def test_what_needs_what_is_among_what_is_listed(written):
    listed = {one["bom-ref"] for one in written["components"]}
    listed.add(written["metadata"]["component"]["bom-ref"])
    needs = {one["ref"]: set(one.get("dependsOn", ())) for one in written["dependencies"]}
    assert needs.keys() <= listed and set().union(*needs.values()) <= listed
    (keras,) = (ref for ref in needs if ref.startswith("keras=="))
    assert any(ref.startswith("numpy==") for ref in needs[keras])


def test_it_names_no_folder_of_the_machine_that_wrote_it(written):
    text = json.dumps(written)
    assert str(Path(__file__).parents[1]) not in text and str(Path.home()) not in text
