"""PyTorch with `torch.compile`."""

from functools import partial

from benchmarks.peers import torch_loop

prepare = partial(torch_loop.prepare, compiled=True)
