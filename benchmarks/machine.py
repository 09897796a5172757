"""Measure the best this machine can do, in arithmetic and memory traffic, with NumPy."""

import numpy as np

SIDE = 2048  # a matrix of 16 MiB: large enough for the best rate of a multiplication
COPY = 2**26  # 64 Mi numbers, 256 MiB: larger than any cache


def prepare(kind):
    """Return a function that does a given number of multiplications, or of copies."""
    if kind == "matmul":
        left = np.random.default_rng(0).random((SIDE, SIDE), "float32")
        right = left.T.copy()
        product = np.empty_like(left)

        def run(amount):
            for _ in range(amount):
                np.matmul(left, right, out=product)

    else:
        source = np.ones(COPY, "float32")
        target = np.empty_like(source)

        def run(amount):
            for _ in range(amount):
                np.copyto(target, source)

    return run


def rates(matmul_seconds, copy_seconds):
    """Return floating-point operations per second, and bytes read and written per second."""
    return 2 * SIDE**3 / matmul_seconds, 2 * 4 * COPY / copy_seconds
