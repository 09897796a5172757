"""The two nets of the original analysis, each written as users of a library would.

Each module has `prepare(architecture, params, pool)`. It builds and compiles a
model and returns a function that takes a number of gradient steps and trains
for so many, on batches of `pool`, images (n, 28, 28, 1) in [0, 1]. All minimise
the sum of squared errors plus the KL, averaged over the batch, with Adam.
"""

ARCHITECTURES = ("conv", "mlp")
