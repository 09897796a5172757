"""Pack the built book: `python -m tools.zipped FOLDER FILE`, to be read without a network.

The same pages give the same bytes, whenever and wherever they are packed.
"""

import sys
import zipfile
from pathlib import Path

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can name


def main(folder: Path, file: Path) -> None:
    """Write a zip of a folder, which unpacks into one folder of the zip's name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(file, "w") as packed:
        for path in paths:
            name = f"{file.stem}/{path.relative_to(folder).as_posix()}"
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
