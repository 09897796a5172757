"""Decoders that read pixels: what they may see, and that they are distributions."""

from dataclasses import replace
from itertools import product

import keras
import numpy as np
import pytest
from scipy import stats

from vae_utils import (
    Bernoulli,
    ContextVAE,
    Gaussian,
    Images,
    Params,
    binarised,
    context_decoder,
    elbo,
    halved,
    importance_weighted_bound,
    mlp_encoder,
    networks,
    programs,
    train,
)

SMALL = Params(
    image_shape=(2, 3, 1),
    latent_size=2,
    mlp_encoder_units=(8,),
    mlp_decoder_units=(8,),
    batch_size=16,
)
PIXELS = 6
CONTEXTS = (0, 1, 2, 5, None)
# Every image there is.
ALL = np.array(list(product((0.0, 1.0), repeat=PIXELS)), "float32").reshape(-1, 2, 3, 1)
DEEP = replace(SMALL, context_units=32)


def context_vae(params, seed=0):
    """Untrained, and with weights so large that the pixels matter."""
    keras.utils.set_random_seed(seed)
    vae = ContextVAE(mlp_encoder(params), context_decoder(params), seed=seed)
    for layer in vae.decoder.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(3 * layer.kernel)
    return vae


def readers(vae):
    """Which pixel's logit answers to which pixel: (pixel, answering pixel), by trying it out."""
    codes = np.zeros((len(ALL), 2), "float32")
    logits = np.array(vae.logits(codes, ALL)).reshape(-1, PIXELS)
    flat = ALL.reshape(-1, PIXELS)
    answers = np.zeros((PIXELS, PIXELS), bool)
    for pixel in range(PIXELS):
        # All images in order of the other pixels: each with its twin.
        rest = np.delete(flat, pixel, axis=1)
        order = np.lexsort((flat[:, pixel], *rest.T))
        answers[pixel] = (np.abs(logits[order[::2]] - logits[order[1::2]]) > 1e-5).any(axis=0)
    return answers


KINDS = [*(replace(SMALL, context=context) for context in CONTEXTS), DEEP]


@pytest.mark.parametrize("params", KINDS)
def test_a_pixel_depends_on_those_before_it_and_no_others(params):
    ages = np.subtract.outer(np.arange(PIXELS), np.arange(PIXELS)).T
    oldest = np.inf if params.context is None else params.context
    np.testing.assert_array_equal(readers(context_vae(params)), (ages > 0) & (ages <= oldest))


@pytest.mark.parametrize("params", KINDS)
def test_the_probabilities_of_all_images_add_up_to_one(params):
    vae = context_vae(params)
    for code in ([0.0, 0.0], [1.5, -2.0]):
        codes = np.tile(np.array(code, "float32"), (len(ALL), 1))
        total = np.exp(vae.likelihood.log_prob(ALL, vae.logits(codes, ALL))).sum()
        assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("params", [SMALL, DEEP])
def test_images_are_drawn_with_the_probability_that_the_model_gives_them(params):
    vae, count = context_vae(params), 20_000
    codes = np.tile(np.array([[0.7, -0.4]], "float32"), (count, 1))
    drawn = vae.draw(codes, np.random.default_rng(0).uniform(size=(count, 2, 3, 1)))
    assert set(np.unique(drawn)) == {0, 1}
    log_likelihood = np.array(vae.likelihood.log_prob(ALL, vae.logits(codes[: len(ALL)], ALL)))
    probabilities = np.exp(log_likelihood.astype("float64"))
    numbers = drawn.reshape(count, -1) @ (2 ** np.arange(PIXELS)[::-1])
    seen = np.bincount(numbers.astype(int), minlength=len(ALL))
    often = probabilities * count > 5
    assert often.sum() > 10
    expected = probabilities[often] * seen[often].sum() / probabilities[often].sum()
    assert stats.chisquare(seen[often], expected).pvalue > 1e-3


def test_with_a_context_of_none_the_decoder_is_a_function_of_the_code_alone():
    vae = context_vae(replace(SMALL, context=0))
    codes = np.random.default_rng(0).standard_normal((len(ALL), 2)).astype("float32")
    np.testing.assert_array_equal(vae.logits(codes, ALL), vae.logits(codes, 1 - ALL))


def test_the_same_uniforms_make_the_same_image_and_others_another_one():
    vae = context_vae(SMALL)
    codes, uniforms = np.zeros((50, 2)), np.random.default_rng(0).uniform(size=(50, 2, 3, 1))
    np.testing.assert_array_equal(vae.draw(codes, uniforms), vae.draw(codes, uniforms))
    assert (vae.draw(codes, uniforms) != vae.draw(codes, uniforms[::-1])).any()
    # However the numbers lie in memory.
    in_columns = np.asfortranarray(uniforms)
    np.testing.assert_array_equal(vae.draw(codes, in_columns), vae.draw(codes, uniforms))
    np.testing.assert_array_equal(vae.decode(codes), vae.decode(codes))


def test_bad_uniforms_and_bad_codes_are_refused():
    vae = context_vae(SMALL)
    with pytest.raises(ValueError, match="uniforms"):
        vae.draw(np.zeros((2, 2)), np.zeros((3, 2, 3, 1)))
    with pytest.raises(ValueError, match="codes"):
        vae.draw(np.zeros((2, 3)), np.zeros((2, 2, 3, 1)))


def test_other_likelihoods_are_refused():
    with pytest.raises(ValueError, match="Bernoulli"):
        ContextVAE(mlp_encoder(SMALL), context_decoder(SMALL), Gaussian(0.5))


def test_training_draws_black_and_white_pixels_and_measuring_takes_them_as_they_are(monkeypatch):
    vae, seen, logits = context_vae(SMALL), [], ContextVAE.logits

    def look_on(model, codes, images, training=False):
        seen.append(np.array(images))
        return logits(model, codes, images, training)

    monkeypatch.setattr(ContextVAE, "logits", look_on)
    grey = np.full((4_000, 2, 3, 1), 0.3, "float32")
    vae.terms(grey, training=True)
    vae.terms(grey, training=True)
    vae.terms(grey)
    first, second, measured = seen
    assert set(np.unique(first)) == {0, 1}
    # 24,000 pixels: the standard error is 0.003.
    assert first.mean() == pytest.approx(0.3, abs=0.012)
    assert (first != second).any()
    np.testing.assert_array_equal(measured, grey)


def test_pixels_and_codes_are_drawn_from_bits_of_their_own(monkeypatch):
    vae, seen, logits = context_vae(SMALL), [], ContextVAE.logits

    def look_on(model, codes, images, training=False):
        seen.extend([np.array(codes), np.array(images)])
        return logits(model, codes, images, training)

    monkeypatch.setattr(ContextVAE, "logits", look_on)
    vae.terms(np.full((10_000, 2, 3, 1), 0.5, "float32"), training=True)
    codes, pixels = seen
    mean, std = vae.encode(pixels)
    # TensorFlow makes two normal numbers of two uniform ones, u and v: their squares add up
    # to −2 ln u, so that the pixel of u would be 1 where they are large.
    squares = np.square((codes - mean) / std).ravel().reshape(-1, 2).sum(axis=1)
    of_the_same_bits = pixels.ravel()[: 2 * len(squares)].reshape(-1, 2)[:, 0]
    assert abs(np.corrcoef(squares, of_the_same_bits)[0, 1]) < 0.05  # 5 standard errors


def test_only_images_can_be_binarised():
    with pytest.raises(ValueError, match="floats"):
        binarised(np.full((1, 2, 3, 1), 25, "uint8"))


def test_a_masked_layer_may_have_no_bias():
    layer = networks.MaskedDense([0, 1, 2], [0, 1, 2], use_bias=False)
    outputs = np.array(layer(np.ones((1, 3), "float32")))
    expected = (layer.kernel.numpy() * np.triu(np.ones((3, 3)), 1)).sum(axis=0)
    np.testing.assert_allclose(outputs[0], expected, rtol=1e-6)


def test_halved_is_the_mean_over_squares():
    image = np.arange(16.0).reshape(1, 4, 4, 1) / 16
    np.testing.assert_allclose(halved(image)[0, :, :, 0] * 16, [[2.5, 4.5], [10.5, 12.5]])


def test_halved_refuses_odd_sides_and_what_is_no_image():
    with pytest.raises(ValueError, match="even to be halved; got 4 x 3"):
        halved(np.zeros((1, 4, 3, 1)))
    with pytest.raises(ValueError, match="images must lie in"):
        halved(np.full((1, 4, 4, 1), 255.0))


def test_binarised_keeps_black_and_white_and_draws_the_rest():
    grey = np.stack([np.zeros((40, 40, 1)), np.ones((40, 40, 1)), np.full((40, 40, 1), 0.25)])
    black, white, drawn = binarised(grey)
    assert black.max() == 0 and white.min() == 1
    assert set(np.unique(drawn)) == {0, 1} and drawn.mean() == pytest.approx(0.25, abs=0.04)
    np.testing.assert_array_equal(binarised(grey, seed=3), binarised(grey, seed=3))


def test_pixels_are_hidden_in_training_only():
    vae = context_vae(replace(SMALL, pixel_dropout=0.5))
    codes, image = np.zeros((200, 2), "float32"), np.ones((200, 2, 3, 1), "float32")
    assert np.std(vae.logits(codes, image, training=True), axis=0).max() > 0.1
    assert np.std(vae.logits(codes, image), axis=0).max() < 1e-4


def test_diagnostics_read_the_images_too():
    vae = context_vae(SMALL)
    bound, many = elbo(vae, ALL), importance_weighted_bound(vae, ALL, samples=200)
    assert bound < many
    # On average over all images, no distribution over them does better than the uniform one.
    assert many < -np.log(len(ALL)) + 0.02


@pytest.mark.parametrize("params", [replace(SMALL, context=2), DEEP])
def test_saves_and_loads(tmp_path, params):
    vae = context_vae(params)
    vae.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    codes = np.random.default_rng(0).standard_normal((len(ALL), 2)).astype("float32")
    np.testing.assert_array_equal(loaded.logits(codes, ALL), vae.logits(codes, ALL))
    assert isinstance(loaded, ContextVAE)
    np.testing.assert_array_equal(readers(loaded), readers(vae))


@pytest.fixture
def grey_images():
    grey = np.random.default_rng(0).uniform(size=(80, 2, 3, 1)).astype("float32")
    return Images(grey[:64], binarised(grey[64:]), None, None, "own", "noise")


def trained(images, params):
    run = train("context", images, 40, likelihood=Bernoulli(), kl_weight=1.0, seed=0, params=params)
    return run.vae.get_weights()


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_contexts_share_a_program_and_change_nothing_by_it(grey_images, rate):
    few = replace(SMALL, context=1, pixel_dropout=rate)
    programs.shared_program.cache_clear()
    alone = trained(grey_images, few)
    trained(grey_images, replace(few, context=None))
    again = trained(grey_images, few)
    assert programs.shared_program.cache_info().misses == 1
    for one, other in zip(alone, again, strict=True):
        np.testing.assert_array_equal(one, other)
