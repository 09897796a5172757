"""The source of the package's own code, as the output of a cell."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from IPython.display import Code


def source(thing: Callable[..., Any]) -> Code:
    """Return the source of a function, method or class, to display: never a copy of it."""
    return Code(textwrap.dedent(inspect.getsource(thing)), language="python")
