"""Numbers for the sentences: glued into the published page, and printed for those who run it.

In JupyterLab a sentence shows only the name of its number; the value is printed under the cell.
"""

import re
from collections.abc import Sequence

import myst_nb
import numpy as np


def glue(name: str, text: str) -> None:
    """Store `text` under `name` for the sentences of the page, and print both.

    A hyphen before a digit becomes a minus sign, as in typeset numbers.

    Args:
        name: the key that sentences refer to.
        text: the number as it is to appear, with its unit if it has one.
    """
    text = with_minus(text)
    myst_nb.glue(name, text, display=False)
    print(f"{name}: {text}")


def with_minus(text: str) -> str:
    """Turn each hyphen before a digit into a minus sign, as in typeset numbers."""
    return re.sub(r"-(?=[\d.])", "−", text)


def mean_and_std(values: Sequence[float] | np.ndarray, digits: int = 0) -> str:
    """Format numbers as their mean ± their standard deviation (of a sample: n − 1).

    Args:
        values: at least two numbers, in any unit.
        digits: decimal places.
    """
    return f"{np.mean(values):z.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def mean_and_range(values: np.ndarray, digits: int = 1) -> str:
    """Format an array as its mean, followed by its lowest and highest value in parentheses.

    Args:
        values: at least one number, in any unit.
        digits: decimal places.
    """
    numbers = (values.mean(), values.min(), values.max())
    return "{} ({} to {})".format(*(f"{number:z.{digits}f}" for number in numbers))
