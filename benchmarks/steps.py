"""Time gradient steps: this package, its peers, and what the machine allows."""

import numpy as np

import vae_utils as vu
from benchmarks import arithmetic, machine
from benchmarks.peers import ARCHITECTURES
from benchmarks.peers.vae_utils_fit import WITH_XLA
from benchmarks.rounds import as_text, measure_each, plain, spread

OURS = "vae_utils fit"
SWAPPED = "the same, XLA swapped"
# Their modules, and what their `prepare` takes besides the networks and the images.
PEERS = {
    "Keras fit, no XLA": ("keras_fit",),
    "Keras fit, no XLA, 10 steps per call": ("keras_fit", 10),
    "PyTorch, eager": ("torch_loop",),
    "PyTorch, torch.compile": ("torch_compiled",),
    "JAX, jit": ("jax_jit",),
}
TITLE = "Gradient steps"
ROUNDS = 7
STEPS = {"conv": 150, "mlp": 500}
NAMES = (("conv", "conv net"), ("mlp", "MLP"))


def measure():
    params = vu.Params()
    pool = np.random.default_rng(0).random((40_000, *params.image_shape), "float32")
    result = {}
    for architecture in ARCHITECTURES:
        count, swapped = STEPS[architecture], not WITH_XLA[architecture]
        ours, folder = "benchmarks.peers.vae_utils_fit", "benchmarks.peers"
        contestants = {
            OURS: (ours, (architecture, params, pool), count),
            SWAPPED: (ours, (architecture, params, pool, swapped), count),
        }
        for name, (module, *further) in PEERS.items():
            arguments = (architecture, plain(params), pool, *further)
            contestants[name] = (f"{folder}.{module}", arguments, count)
        contestants["matmul"] = ("benchmarks.machine", ("matmul",), 20)
        contestants["copy"] = ("benchmarks.machine", ("copy",), 10)
        measured = measure_each(contestants, ROUNDS)
        seconds = {name: taken.seconds for name, taken in measured.items()}
        result[architecture] = _summary(architecture, params, seconds)
    return result


def _summary(architecture, params, seconds):
    flops, bandwidth = machine.rates(seconds.pop("matmul"), seconds.pop("copy"))
    arithmetic_seconds = arithmetic.operations(architecture, params) / flops
    traffic_seconds = arithmetic.traffic(architecture, params) / bandwidth
    ours = seconds[OURS]
    fastest = min(PEERS, key=lambda name: np.median(seconds[name]))
    return {
        "milliseconds": {name: spread(1e3 * taken) for name, taken in seconds.items()},
        "times_ours": {name: spread(taken / ours) for name, taken in seconds.items()},
        "fastest_peer": fastest,
        "matmul_gflops": spread(flops / 1e9),
        "copy_gbytes": spread(bandwidth / 1e9),
        "gflop": arithmetic.operations(architecture, params) / 1e9,
        "mbytes": arithmetic.traffic(architecture, params) / 1e6,
        "arithmetic_share": spread(arithmetic_seconds / ours),
        "bound_share": spread((arithmetic_seconds + traffic_seconds) / ours),
        "fastest_peer_bound_share": spread(
            (arithmetic_seconds + traffic_seconds) / seconds[fastest]
        ),
    }


def tables(result):
    """Return the result as Markdown."""
    lines = [
        "| | conv, ms per step | times ours | MLP, ms per step | times ours |",
        "|---|---|---|---|---|",
    ]
    for name in [OURS, SWAPPED, *PEERS]:
        cells = []
        for architecture in ARCHITECTURES:
            found = result[architecture]
            cells += [
                as_text(found["milliseconds"][name], 1),
                as_text(found["times_ours"][name], 2),
            ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "| against the machine | conv | MLP |", "|---|---|---|"]
    for label, key, digits in (
        ("best matrix multiplication, GFLOP/s", "matmul_gflops", 0),
        ("copying, GB/s", "copy_gbytes", 1),
        ("arithmetic of a step, GFLOP", "gflop", 2),
        ("traffic of a step, MB", "mbytes", 0),
        ("arithmetic at that rate, share of our step", "arithmetic_share", 2),
        ("arithmetic and traffic, share of our step", "bound_share", 2),
        ("the same of the fastest peer", "fastest_peer_bound_share", 2),
    ):
        cells = [as_text(result[architecture][key], digits) for architecture in ARCHITECTURES]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += ["", " ".join(_verdict(result[architecture], name) for architecture, name in NAMES)]
    return "\n".join(lines)


def _verdict(found, name):
    """Say in one sentence who is fastest by the medians; nobody is by less than a twentieth."""
    ratios = {peer: found["times_ours"][peer] for peer in PEERS}
    peer = min(ratios, key=lambda peer: ratios[peer]["median"])
    ratio = ratios[peer]["median"]
    if abs(ratio - 1) < 0.05:
        place = f"*{peer}* is level with this package"
    elif ratio > 1:
        place = f"this package is the fastest, ahead of *{peer}*"
    else:
        place = f"*{peer}* is the fastest"
    return (
        f"With the {name}, by the medians, {place}, at {as_text(ratios[peer], 2)} times our time."
    )
