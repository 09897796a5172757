"""Measure how step time and memory grow with batch size, latent size, width and image count."""

from dataclasses import replace

import numpy as np

import vae_utils as vu
from benchmarks.rounds import measure_each, spread

TITLE = "How cost grows"
ROUNDS = 3
IMAGES = 20_000


def _settings(quantity, value, params):
    """Return the settings, and the number of images."""
    if quantity == "images":
        return params, value
    if quantity == "width":
        widths = {"mlp_encoder_units": (value, value), "mlp_decoder_units": (value,)}
        return replace(params, **widths), IMAGES
    return replace(params, **{quantity: value}), IMAGES


STUDIES = (
    ("batch_size", "conv", (16, 64, 256, 1024, 4096)),
    ("batch_size", "mlp", (16, 64, 256, 1024, 4096)),
    ("latent_size", "mlp", (2, 8, 32, 128, 512)),
    ("width", "mlp", (125, 250, 500, 1000, 2000)),
    ("images", "mlp", (1_000, 4_000, 15_000, 60_000)),
)


def measure():
    return [
        {
            "quantity": quantity,
            "architecture": architecture,
            **_study(quantity, architecture, values),
        }
        for quantity, architecture, values in STUDIES
    ]


def _study(quantity, architecture, values):
    pool = np.random.default_rng(0).random((60_000, 28, 28, 1), "float32")
    contestants = {}
    for value in values:
        params, count = _settings(quantity, value, vu.Params())
        # When the number of images varies, a turn is a whole epoch. Otherwise every turn
        # sees about the same number of images, in at least eight steps.
        in_turn = count if quantity == "images" else 8_192
        steps = max(8, in_turn // params.batch_size)
        contestants[value] = (
            "benchmarks.peers.vae_utils_fit",
            (architecture, params, pool[: max(count, steps * params.batch_size)]),
            steps,
        )
    measured = measure_each(contestants, ROUNDS)
    milliseconds = {value: 1e3 * taken.seconds for value, taken in measured.items()}
    medians = [np.median(milliseconds[value]) for value in values]
    # The end of the curve, where overheads no longer count.
    exponent = np.polyfit(np.log(values[-3:]), np.log(medians[-3:]), 1)[0]
    return {
        "values": list(values),
        "milliseconds": [spread(milliseconds[value]) for value in values],
        "megabytes": [measured[value].megabytes for value in values],
        "exponent": float(exponent),
    }


def tables(result):
    lines = []
    for study in result:
        name = study["quantity"].replace("_", " ")
        net = {"conv": "conv net", "mlp": "MLP"}[study["architecture"]]
        exponent = f"{study['exponent']:z.2f}".replace("-", "−")
        lines += [
            "",
            f"**{net}, {name}**: time per step grows with exponent "
            f"{exponent} over the last three values.",
            "",
            f"| {name} | " + " | ".join(f"{value:,}" for value in study["values"]) + " |",
            "|---" * (len(study["values"]) + 1) + "|",
            "| ms per step | "
            + " | ".join(f"{time['median']:.1f}" for time in study["milliseconds"])
            + " |",
            "| memory, MB | " + " | ".join(f"{size:,.0f}" for size in study["megabytes"]) + " |",
        ]
    return "\n".join(lines)
