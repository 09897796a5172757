"""Train with a KL weight of your own and watch. Needs a kernel."""

from vae_utils.notebook.playground.panel import Playground

__all__ = ["Playground"]
