"""The work in one gradient step: multiplications, additions and memory traffic."""

from vae_utils import Params


def layers(architecture, params: Params):
    """Count, for each layer, the multiply-adds per image, and the weights and biases."""
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
        """Count for a strided convolution or its transpose; `positions` is the smaller grid's."""
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
    """Count the floating-point operations of a step: forward, and backward to weights and inputs.

    Each multiply-add counts as two. The first layer needs no gradient with respect to its input.
    """
    multiply_adds = [count for count, _ in layers(architecture, params)]
    return 2 * params.batch_size * (3 * sum(multiply_adds) - multiply_adds[0])


def traffic(architecture, params: Params):
    """Count the bytes that a step moves for the weights, at 4 bytes per number.

    The forward and the backward pass each read every weight once, and the gradient is written.
    Adam reads the gradient, the weight and two moments, and writes the last three. The
    activations of 64 images stay in the cache.
    """
    weights = sum(count for _, count in layers(architecture, params))
    return 4 * 10 * weights
