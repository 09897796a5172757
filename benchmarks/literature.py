"""Measure published numbers again: the eigenvalues of MNIST, and a one-layer VAE."""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.decomposition import PCA

import vae_utils as vu
from vae_utils import linear

TITLE = "Measured"
EPOCHS, SEEDS = 10, 2
LEADING = 8
LINE = re.compile(r"ELBO (\S+), IWAE-5000 bound (\S+) ± (\S+) nats, (\d+) of 50 units active")


def spectrum(images):
    """Compute the covariance's eigenvalues with this package and scikit-learn, largest first."""
    ours = linear.eigenvalues(images)
    flat = images.reshape(len(images), -1)
    # The full solver, because the default one goes through the covariance matrix, as ours does.
    # scikit-learn divides by n - 1, this package by n.
    theirs = PCA(LEADING, svd_solver="full").fit(flat).explained_variance_
    theirs *= (len(flat) - 1) / len(flat)
    return {
        "images": len(images),
        "ours": ours[:LEADING].tolist(),
        "scikit-learn": theirs.tolist(),
        "trace": float(ours.sum()),
        "above": {limit: int((ours > float(limit)).sum()) for limit in ("1", "0.5")},
    }


def one_layer(images):
    """Run benchmarks/burda.py, and read the ELBO, IWAE-5000 bound and active units per seed."""
    with TemporaryDirectory() as folder:
        data = Path(folder, "mnist.npz")
        pixels = {"x_train": images.train, "x_test": images.test}
        np.savez(data, **{k: np.round(255 * v).astype("uint8") for k, v in pixels.items()})
        script = str(Path(__file__).with_name("burda.py"))
        run = [sys.executable, script, str(data), f"--epochs={EPOCHS}", f"--seeds={SEEDS}"]
        run.append(f"--checkpoint={Path(folder, 'burda.npz')}")
        said = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds = float(re.search(rf"epoch {EPOCHS}, (\S+) s", said)[1].replace(",", ""))
    rows = [[float(number) for number in found] for found in LINE.findall(said)]
    if len(rows) != SEEDS:
        raise RuntimeError(f"burda.py should report {SEEDS} seeds; it printed:\n{said}")
    return {
        "epochs": EPOCHS,
        "seconds": seconds,
        "models": [dict(zip(("elbo", "bound", "error", "active_units"), row)) for row in rows],
    }


def measure():
    images = vu.load_images("mnist")
    return {"spectrum": spectrum(images.train), "one_layer": one_layer(images)}


def tables(result):
    found, models = result["spectrum"], result["one_layer"]["models"]
    lines = ["| eigenvalue | `vae_utils.linear` | scikit-learn |", "|---|---|---|"]
    for number, both in enumerate(zip(found["ours"], found["scikit-learn"]), 1):
        lines.append(f"| {number} | " + " | ".join(f"{value:.4f}" for value in both) + " |")
    lines += [
        "",
        f"Sum of all eigenvalues: {found['trace']:.3f}. Above 1: {found['above']['1']} of them; "
        f"above 0.5: {found['above']['0.5']}.",
        "",
        "<!-- The page has a section for each table. -->",
        "",
        "| model | negative ELBO, nats | negative IWAE-5000 bound, nats | active units of 50 |",
        "|---|---|---|---|",
    ]
    for seed, model in enumerate(models):
        lines.append(
            f"| {result['one_layer']['epochs']} epochs, seed {seed} | {-model['elbo']:.2f} | "
            f"{-model['bound']:.2f} ± {model['error']:.2f} | {model['active_units']:.0f} |"
        )
    lines += [
        "",
        f"Both were trained side by side, in {result['one_layer']['seconds']:.0f} seconds.",
    ]
    return "\n".join(lines)
