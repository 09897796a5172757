"""Numbers for the sentences: glued into the published page, and printed for those who run it.

In JupyterLab a sentence shows the name of its number; the value stands under the cell.
"""

import re

import myst_nb


def glue(name, text):
    """Keep `text` under `name` for the page's sentences, and print both.

    A hyphen before a digit becomes a minus sign, as typeset numbers have it.
    """
    text = re.sub(r"-(?=[\d.])", "−", text)
    myst_nb.glue(name, text, display=False)
    print(f"{name}: {text}")


def mean_and_range(values, digits=1):
    """An array as text: its mean, and in brackets its lowest and highest value."""
    numbers = (values.mean(), values.min(), values.max())
    return "{} ({} to {})".format(*(f"{number:z.{digits}f}" for number in numbers))
