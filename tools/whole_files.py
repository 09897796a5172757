"""Text files that are written as a whole, or not at all."""

from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a file in one piece: a program that is killed leaves the old one or the new one."""
    new = path.with_suffix(".new")
    new.write_text(text, "utf8")
    new.replace(path)
