"""Time ten seeds of one run: one after the other, and as one program."""

import time

import numpy as np

import vae_utils as vu
from benchmarks.rounds import as_text, spread

TITLE = "Ten seeds at once"
ROUNDS, STEPS = 3, 300
SEEDS = range(10)
WIDTHS = (32, 64, 128, 256)
IMAGES = np.random.default_rng(0).random((20_000, 14, 14, 1)).astype("float32")


def measure():
    images = vu.Images(IMAGES, IMAGES[:100], None, None, "noise", "of this benchmark")
    return [{"width": width, **_study(width, images)} for width in WIDTHS]


def _study(width, images):
    params = vu.Params(
        image_shape=(14, 14, 1),
        latent_size=16,
        mlp_encoder_units=(width,) * 2,
        mlp_decoder_units=(width,) * 7,
    )
    settings = dict(likelihood=vu.Gaussian(0.125), kl_weight=1.0, params=params)

    def alone():
        for seed in SEEDS:
            vu.train("mlp", images, STEPS, seed=seed, every=100, watch=0, callbacks=[], **settings)

    def together():
        vu.train_seeds("mlp", images, STEPS, seeds=SEEDS, verbose=False, **settings)

    taken = {way: [] for way in (alone, together)}
    for way in taken:
        way()  # compiles
    for _ in range(ROUNDS):
        for way, seconds in taken.items():
            start = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - start)
    one_by_one, at_once = (np.array(seconds) for seconds in taken.values())
    return {
        "alone": spread(one_by_one),
        "together": spread(at_once),
        "ratio": spread(one_by_one / at_once),
    }


def tables(result):
    """Return the result as Markdown."""
    lines = [
        f"The net of chapter 8's plateau, {STEPS} steps for each of ten seeds, "
        "including the building of the models, excluding compilation.",
        "",
        "| units a layer | one after the other, s | as one program, s | ratio |",
        "|---|---|---|---|",
    ]
    for row in result:
        cells = (as_text(row[name], 1) for name in ("alone", "together", "ratio"))
        lines.append(f"| {row['width']} | {' | '.join(cells)} |")
    return "\n".join(lines)
