"""Exercises that ask for a function: what the reader wrote, beside a reference."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def check(
    answer: Callable[..., Any],
    reference: Callable[..., Any],
    cases: Sequence[tuple[Any, ...]],
    rtol: float = 1e-4,
) -> bool:
    """Call both functions with the same arguments, and say where the results first differ.

    Nothing is raised: an exercise that is not solved yet must not stop the notebook.

    Args:
        answer: what the reader wrote.
        reference: returns what is right.
        cases: the arguments of each call.
        rtol: the relative difference that is allowed.

    Returns:
        Whether all results agree.
    """
    for arguments in cases:
        shown = ", ".join(map(_brief, arguments))
        expected = np.asarray(reference(*arguments))
        try:
            result = answer(*arguments)
            if result is None:
                print("Not yet: the function returns nothing.")
                return False
            found = np.asarray(result)
        except Exception as error:  # noqa: BLE001  whatever a first attempt raises
            print(f"✗ ({shown}) raises {type(error).__name__}: {error}")
            return False
        if found.dtype.kind not in "biuf":
            print(f"✗ ({shown}) gives {result}, which is not a number.")
            return False
        if found.shape != expected.shape:
            print(f"✗ ({shown}) gives the shape {found.shape}; it should be {expected.shape}.")
            return False
        if not np.allclose(found, expected, rtol=rtol, atol=rtol):
            print(f"✗ ({shown}) gives {_brief(found)}; it should give {_brief(expected)}.")
            return False
    print(f"✓ Correct in {len(cases)} of {len(cases)} cases.")
    return True


def _brief(value: Any) -> str:
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array:.4g}" if array.dtype.kind == "f" else str(array)
    with np.printoptions(precision=3, threshold=8, edgeitems=2):
        return str(array).replace("\n", "")
