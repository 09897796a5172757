"""The benchmarks' own arithmetic."""

import pytest

import vae_utils as vu
from benchmarks import arithmetic


@pytest.mark.parametrize(
    ("architecture", "parts"),
    [
        ("conv", (vu.conv_encoder, vu.conv_decoder)),
        ("mlp", (vu.mlp_encoder, vu.mlp_decoder)),
    ],
)
def test_weights_are_counted_as_the_networks_have_them(architecture, parts):
    params = vu.Params()
    built = sum(part(params).count_params() for part in parts)
    assert sum(count for _, count in arithmetic.layers(architecture, params)) == built
