"""Fetch the scripts of the pages from npm: `python tools/fetch_scripts.py FOLDER`.

With them, a built book depends on no other host. Without npm or a network, the pages load
the same scripts from a CDN (see `page_scripts.py`).
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

# Each package, its SHA-256, and which of its files go into which folder.
PACKAGES = (
    (
        "mathjax@3.2.2",
        "1b9c0a1c44df864e915690558e72adb9cc5203360daefd385084ced3b6c64c09",
        (
            ("package/es5/tex-mml-chtml.js", "static/mathjax"),
            ("package/es5/input/tex/extensions/*.js", "static/mathjax/input/tex/extensions"),
            (
                "package/es5/output/chtml/fonts/woff-v2/*.woff",
                "static/mathjax/output/chtml/fonts/woff-v2",
            ),
        ),
    ),
    (
        "requirejs@2.3.8",
        "777158e89275e16bd51aec3ef714fbcb5dc45789e7078659933bc814916d7dec",
        (("package/require.js", "static"),),
    ),
    (
        "@jupyter-widgets/html-manager@1.0.15",
        "2b9d65cb7913e1c7d671757a10008b32c9c2448d4429513371e55c07d6107638",
        (
            ("package/dist/embed-amd.js", "static"),
            # Each of its two modules looks for the icons below the page, in a folder of its name.
            ("package/dist/*.woff2", "pages/notebooks/@jupyter-widgets/html-manager/dist"),
            ("package/dist/*.woff2", "pages/notebooks/@jupyter-widgets"),
        ),
    ),
)


def download(package, folder):
    """Download a package from npm, and return the path of its archive."""
    command = ["npm", "pack", "--silent", package, "--pack-destination", str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    (archive,) = folder.glob("*.tgz")
    return archive


def fetch(package, digest, folder):
    """Download a package, and end the program unless it is the one that was tested."""
    archive = download(package, folder)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != digest:
        sys.exit(f"{package} is not the file that was tested: its checksum is different.")
    return archive


def unpack(archive, files, folder):
    """Copy the files of an archive that match, each into its folder."""
    with tarfile.open(archive) as tar:
        for member in tar:
            for pattern, place in files:
                source = tar.extractfile(member)  # None for a folder
                if source and PurePosixPath(member.name).match(pattern):
                    target = folder / place / Path(member.name).name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(source.read())


def main(folder):
    """Fetch all packages or none: if the folder exists, it is complete and of these versions."""
    shutil.rmtree(folder, ignore_errors=True)
    if shutil.which("npm") is None:
        print("npm not found: the pages load MathJax and the widgets' scripts from their CDN.")
        return
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "whole")
        for number, (package, digest, files) in enumerate(PACKAGES):
            place = Path(temporary, str(number))
            place.mkdir()
            try:
                archive = fetch(package, digest, place)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                print(f"npm could not fetch {package}: the pages use their CDN instead. ({error})")
                return
            unpack(archive, files, whole)
        shutil.copytree(whole, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
