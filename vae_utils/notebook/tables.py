"""Tables as outputs of cells, so that they are seen in JupyterLab, VS Code and Colab, too."""

from collections.abc import Iterable, Sequence

from IPython.display import Markdown

from vae_utils.notebook.numbers import with_minus


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """Return a table to display; its cells are Markdown, mathematics between $ included.

    Args:
        header: the titles of the columns.
        rows: as many texts each; numbers come formatted, and get true minus signs.

    Raises:
        ValueError: if a row has more or fewer cells than the header.
    """
    lines = [header, ["---"] * len(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row must have {len(header)} cells, like the header; got {row!r}")
        lines.append([with_minus(cell) for cell in row])
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))
