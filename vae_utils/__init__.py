"""Variational autoencoders and posterior collapse, measured.

Read the modules in this order: params, data, densities, likelihoods, networks, schedules,
sampling, inputs, batches, compiled, model, context, divergence, recording, backup, diagnostics,
linear, recogniser, remedies, programs, runs, together, sweeps.
What needs a notebook is in `vae_utils.notebook`, which this page does not import.
"""

import importlib.util

if importlib.util.find_spec("tensorflow") is None:
    raise ImportError(
        "vae_utils needs TensorFlow: pip install tensorflow (or tensorflow-cpu, which is smaller "
        "but has no GPU support; never install both)"
    )

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"vae_utils trains with TensorFlow, but Keras uses {keras.backend.backend()}: set the "
        "environment variable KERAS_BACKEND to tensorflow before Keras is imported"
    )

# Also those that no name here needs: Keras loads a saved model only if its class is registered.
from vae_utils import remedies, schedules
from vae_utils.backup import BackupAndRestore
from vae_utils.context import ContextVAE
from vae_utils.data import Images, binarised, halved, load_images
from vae_utils.diagnostics import (
    active_units,
    elbo,
    firing_shares,
    importance_weighted_bound,
    kl_per_unit,
    linear_probe,
    mse,
    mutual_information,
    plateau,
    summary,
)
from vae_utils.divergence import StopOnNaN
from vae_utils.likelihoods import Bernoulli, Gaussian, Likelihood
from vae_utils.model import VAE
from vae_utils.networks import (
    context_decoder,
    conv_decoder,
    conv_encoder,
    mlp_decoder,
    mlp_encoder,
)
from vae_utils.params import Params, seed_from_environment
from vae_utils.recording import ProgressBar, Recorder
from vae_utils.runs import Run, train
from vae_utils.sweeps import SweepResult, sweep
from vae_utils.together import train_seeds

__version__ = "0.2.0.dev0"

__all__ = [
    "VAE",
    "BackupAndRestore",
    "Bernoulli",
    "ContextVAE",
    "Gaussian",
    "Images",
    "Likelihood",
    "Params",
    "ProgressBar",
    "Recorder",
    "Run",
    "StopOnNaN",
    "SweepResult",
    "active_units",
    "binarised",
    "context_decoder",
    "conv_decoder",
    "conv_encoder",
    "elbo",
    "firing_shares",
    "halved",
    "importance_weighted_bound",
    "kl_per_unit",
    "linear_probe",
    "load_images",
    "mlp_decoder",
    "mlp_encoder",
    "mse",
    "mutual_information",
    "plateau",
    "remedies",
    "schedules",
    "seed_from_environment",
    "summary",
    "sweep",
    "train",
    "train_seeds",
]
