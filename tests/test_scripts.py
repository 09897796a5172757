"""The scripts of the pages: fetched whole or not at all, and each one once on a page."""

import hashlib
import io
import subprocess
import tarfile
from types import SimpleNamespace

import pytest

from tools import fetch_scripts, page_scripts


def archive_with(path, **files):
    """An archive as npm packs it."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}.js")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def one_package(tmp_path, monkeypatch):
    """npm has one package, with two files of which one is wanted."""
    archive = archive_with(tmp_path / "some.tgz", wanted="let a = 1;", other="let b = 2;")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    files = (("package/wanted.js", "static"), ("package/w*.js", "pages/again"))
    monkeypatch.setattr(fetch_scripts, "PACKAGES", (("some@1.0.0", digest, files),))
    monkeypatch.setattr(fetch_scripts.shutil, "which", lambda name: "/bin/npm")
    monkeypatch.setattr(fetch_scripts, "download", lambda package, folder: archive)
    return archive


def found(folder):
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def test_the_wanted_files_are_fetched(tmp_path, one_package):
    folder = tmp_path / "scripts"
    (folder / "static").mkdir(parents=True)
    (folder / "static/of-before.js").write_text("")
    fetch_scripts.main(folder)
    assert found(folder) == ["pages/again/wanted.js", "static/wanted.js"]
    for name in found(folder):
        assert (folder / name).read_text() == "let a = 1;"


def test_without_npm_one_line_says_so(tmp_path, one_package, monkeypatch, capsys):
    monkeypatch.setattr(fetch_scripts.shutil, "which", lambda name: None)
    fetch_scripts.main(tmp_path / "scripts")
    assert not (tmp_path / "scripts").exists()
    assert "from their CDN" in capsys.readouterr().out


def test_without_a_network_nothing_is_left_half_way(tmp_path, one_package, monkeypatch, capsys):
    def offline(package, folder):
        raise subprocess.CalledProcessError(1, "npm")

    monkeypatch.setattr(fetch_scripts, "download", offline)
    fetch_scripts.main(tmp_path / "scripts")
    assert not (tmp_path / "scripts").exists()
    assert "some@1.0.0" in capsys.readouterr().out


def test_another_file_under_the_same_name_is_refused(tmp_path, one_package):
    archive_with(one_package, wanted="let a = 3;")
    with pytest.raises(SystemExit, match="checksum"):
        fetch_scripts.main(tmp_path / "scripts")
    assert not (tmp_path / "scripts").exists()


def config():
    return SimpleNamespace(html_static_path=["own"], html_extra_path=[], mathjax_path="cdn")


def test_fetched_scripts_are_used_where_they_are(tmp_path):
    app, there, missing = SimpleNamespace(srcdir=tmp_path), config(), config()
    page_scripts.use_fetched(app, missing)
    assert missing == config()
    (tmp_path / page_scripts.FETCHED).mkdir(parents=True)
    page_scripts.use_fetched(app, there)
    assert there.html_static_path == ["own", str(tmp_path / page_scripts.FETCHED / "static")]
    assert there.mathjax_path.startswith("mathjax/")
    assert list(there.nb_ipywidgets_js) == ["require.js", "embed-amd.js"]


def test_thebe_is_left_out_and_nothing_else():
    def script(filename, **attributes):
        return SimpleNamespace(filename=filename, attributes=attributes)

    files = [
        script("_static/doctools.js"),
        script(None, body='const THEBE_JS_URL = "https://…"'),
        script("_static/sphinx-thebe.js"),
        script("", body="let toggleHintShow = 'Click to show';"),
    ]
    context = {"script_files": files}
    page_scripts.leave_out_thebe(None, None, None, context, None)
    assert context["script_files"] == [files[0], files[3]]


def test_the_state_of_widgets_stays_whatever_letters_its_pictures_hold():
    def script(filename=None, **attributes):
        return SimpleNamespace(filename=filename, attributes=attributes)

    state = script(type="application/vnd.jupyter.widget-state+json", body='{"value": "aThEbE"}')
    own = script("widgets.js")
    thebe = [script("https://unpkg.com/thebe@0.8.2"), script(body="const THEBE_JS_URL = 1")]
    context = {"script_files": [own, *thebe, state]}
    page_scripts.leave_out_thebe(None, None, None, context, None)
    assert context["script_files"] == [own, state]
