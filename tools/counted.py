"""What runs in the kernel before a notebook's first cell, when its claims are counted.

It is put there as text, and its names stand beside those of the notebook.
"""

import operator as claims_operator

import numpy as claims_np

claims_held: dict[str, bool] = {}  # text of a claim -> whether it held, each time
claims_margins: dict[str, list] = {}  # text -> its narrowest margin, and the two numbers
claims_seen: list[list] = []  # margins of the comparisons in the claim that is tested now
CLAIMS_ORDER = {
    "<": claims_operator.lt,
    "<=": claims_operator.le,
    ">": claims_operator.gt,
    ">=": claims_operator.ge,
}


def claims_count(text, test):
    """Test a claim. In a loop, it holds if it holds each time."""
    claims_seen.clear()
    try:
        holds = bool(test())
    except Exception:
        holds = False
    claims_held[text] = claims_held.get(text, True) and holds
    if claims_seen:
        known = [claims_margins[text]] if text in claims_margins else []
        claims_margins[text] = min([*claims_seen, *known])


def claims_compare(left, *rest):
    """Return `left < right`, or a longer chain, and remember how near its sides are."""
    for order, right in zip(rest[::2], rest[1::2]):
        claims_remember(left, order, right)
        result = CLAIMS_ORDER[order](left, right)
        if len(rest) > 2 and not result:
            return result
        left = right
    return result


def claims_remember(left, order, right):
    """Remember the margin: the difference of both sides, as a share of the larger one."""
    try:
        left, right = claims_np.broadcast_arrays(
            claims_np.asarray(left, float), claims_np.asarray(right, float)
        )
    except (TypeError, ValueError):  # not numbers
        return
    difference = (right - left) * (1 if order in ("<", "<=") else -1)
    scale = claims_np.maximum(abs(left), abs(right))
    margins = claims_np.divide(
        difference, scale, out=claims_np.zeros_like(scale), where=scale != 0
    ).ravel()
    if margins.size and claims_np.isfinite(margins).all():
        at = margins.argmin()
        numbers = margins[at], left.ravel()[at], right.ravel()[at]
        claims_seen.append([float(f"{number:.4g}") for number in numbers])
