"""`python -m benchmarks [part ...]`: measure, and write the tables of two pages of the book.

Only the parts given are measured again (by default, all); the others keep their results.
"""

import datetime
import json
import os
import platform
import sys
from importlib import import_module, metadata
from pathlib import Path

from tools.whole_files import replace_text

PAGES = {
    "results.md": ("steps", "quality", "growth", "seeds", "live", "book"),
    "literature.md": ("literature",),
}
PARTS = sum(PAGES.values(), ())
FOLDER = Path(__file__).parent
PACKAGES = ("tensorflow", "keras", "torch", "jax", "numpy")


def surroundings():
    """Return the date, the machine and the versions that a result belongs to."""
    # By what is imported: TensorFlow comes as tensorflow-cpu, too. Not every part has peers.
    installed = metadata.packages_distributions()
    return {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        **{name: metadata.version(installed[name][0]) for name in PACKAGES if name in installed},
    }


def page(results, parts):
    """Return the tables of these parts as Markdown."""
    sections = []
    for part in parts:
        if part in results:
            module = import_module(f"benchmarks.{part}")
            where = results[part]["surroundings"]
            versions = ", ".join(f"{name} {where[name]}" for name in PACKAGES if name in where)
            sections.append(
                f"## {module.TITLE}\n\n{module.tables(results[part]['result'])}\n\n"
                f"(Measured on {where['date']} with {where['cores']} cores; {versions}.)"
            )
    return "\n\n".join(sections) + "\n"


def main(parts):
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        sys.exit(f"parts are {', '.join(PARTS)}; got {', '.join(unknown)}")
    stored = FOLDER / "results.json"
    results = json.loads(stored.read_text()) if stored.exists() else {}
    for part in parts or PARTS:
        print(f"-- {part}", flush=True)
        measured = import_module(f"benchmarks.{part}").measure()
        results[part] = {"surroundings": surroundings(), "result": measured}
        replace_text(stored, json.dumps(results, indent=1) + "\n")
        for name, shown in PAGES.items():
            (FOLDER / name).write_text(page(results, shown))


if __name__ == "__main__":
    main(sys.argv[1:])
