"""Write the bill of materials of the book: `python -m tools.bill FILE`.

It lists, as CycloneDX in JSON, the packages that the book is built with, as they are in this
environment, and the scripts that `fetch_scripts.py` lays beside the pages.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from tools.fetch_scripts import PACKAGES

ROOT = Path(__file__).parents[1]


def environment():
    """Return the bill of all that is installed here, what only the tests need included."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable]
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    done = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def of_the_book(bill, names):
    """Return a bill with the packages of these names, and what each of them needs of the others."""
    kept = [one for one in bill["components"] if canonicalize_name(one["name"]) in names]
    refs = {bill["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in kept)}
    needs = [
        {**one, **({"dependsOn": wanted} if wanted else {})}
        for one in bill["dependencies"]
        if one["ref"] in refs
        for wanted in [[ref for ref in one.pop("dependsOn", []) if ref in refs]]
    ]
    return {**bill, "components": kept, "dependencies": needs}


def script(package, digest):
    """Return the entry of a package of npm, whose archive has this SHA-256."""
    path, version = package.rsplit("@", 1)
    group, _, name = path.rpartition("/")
    return {
        "type": "library",
        "bom-ref": f"npm-{path}",
        **({"group": group} if group else {}),
        "name": name,
        "version": version,
        "purl": str(PackageURL("npm", group or None, name, version)),
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def main(file):
    """Write the bill, unless it isn't valid."""
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text("utf8"), re.M)
    bill = of_the_book(environment(), set(pinned))
    bill["metadata"]["component"]["version"] = importlib.metadata.version("vae-utils")
    bill["components"] += [script(package, digest) for package, digest, _ in PACKAGES]
    text = json.dumps(bill, indent=1, ensure_ascii=False)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"not a valid bill of materials: {error}")
    file.parent.mkdir(exist_ok=True)
    file.write_text(text + "\n", "utf8")
    print(f"{len(bill['components'])} components: {file}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
