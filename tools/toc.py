"""The pages of the book in their order, and where it is published."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def pages() -> list[str]:
    """Return the names of all pages, such as `book/intro`, in the order of `_toc.yml`."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    names = [toc["root"]]
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            names.append(chapter["file"])
            names += [section["file"] for section in chapter.get("sections", [])]
    return names


def sections() -> set[str]:
    """Return the names of the pages that belong to a chapter above them."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    return {one["file"] for chapter in chapters for one in chapter.get("sections", [])}


def published() -> str:
    """Return the address under which the pages of the repository are published."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    owner, name = config["repository"]["url"].split("/")[-2:]
    return f"https://{owner}.github.io/{name}/"
