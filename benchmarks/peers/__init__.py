"""The two nets of the original analysis, written as users of each library would write them.

Each module has `prepare(architecture, params, pool)`. It builds and compiles a model, and
returns a function that trains it for a given number of gradient steps, on batches of `pool`,
images (n, 28, 28, 1) in [0, 1]. All minimise the sum of squared errors plus the KL, averaged
over the batch, with Adam.
"""

ARCHITECTURES = ("conv", "mlp")
