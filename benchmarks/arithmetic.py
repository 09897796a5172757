"""What one gradient step must do: multiplications, additions and memory traffic."""

from vae_utils import Params


def layers(architecture, params: Params):
    """Of each layer: multiply-adds for one image, number of weights and biases."""
    height, width, channels = params.image_shape
    pixels, latent = height * width * channels, params.latent_size

    def dense(rows, columns):
        return rows * columns, (rows + 1) * columns

    if architecture == "mlp":
        sizes = [pixels, *params.mlp_encoder_units]
        encoder = [dense(a, b) for a, b in zip(sizes, sizes[1:])]
        heads = [dense(sizes[-1], latent)] * 2
        sizes = [latent, *params.mlp_decoder_units, pixels]
        return encoder + heads + [dense(a, b) for a, b in zip(sizes, sizes[1:])]

    def conv(positions, inputs, outputs):
        """A strided convolution, or its transpose, between two grids; the smaller one counts."""
        taps = params.conv_kernel**2 * inputs * outputs
        return positions * taps, taps + outputs

    encoder, decoder = [], []
    inputs = channels
    for filters in params.conv_filters:
        height, width = height // params.conv_stride, width // params.conv_stride
        encoder.append(conv(height * width, inputs, filters))
        decoder.insert(0, conv(height * width, filters, inputs))
        inputs = filters
    features = height * width * inputs
    return [
        *encoder,
        dense(features, params.conv_units),
        *[dense(params.conv_units, latent)] * 2,
        dense(latent, params.conv_units),
        dense(params.conv_units, features),
        *decoder,
    ]


def operations(architecture, params: Params):
    """Floating-point operations of a step: forward, and backward to weights and to inputs.

    Two for each multiply-add. The first layer needs no gradient of its input.
    """
    multiply_adds = [count for count, _ in layers(architecture, params)]
    return 2 * params.batch_size * (3 * sum(multiply_adds) - multiply_adds[0])


def traffic(architecture, params: Params):
    """Bytes that a step moves for the weights, at 4 bytes a number.

    Forward and backward read each weight once; its gradient is written; Adam
    reads gradient, weight and two moments, and writes the last three. The
    activations of 64 images stay in the cache.
    """
    weights = sum(count for _, count in layers(architecture, params))
    return 4 * 10 * weights
