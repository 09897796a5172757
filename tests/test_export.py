"""ONNX and LiteRT, each run without Keras. (The SavedModel is in test_keras_user.py.)"""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from vae_utils import VAE, conv_decoder, conv_encoder, mlp_decoder, mlp_encoder


def in_onnxruntime(path, batch):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: batch})


def in_litert(path, batch):
    run = tf.lite.Interpreter(path).get_signature_runner()
    outputs = run(**dict.fromkeys(run.get_input_details(), batch))
    return [outputs[name] for name in sorted(outputs)]


MLP, CONV = (mlp_encoder, mlp_decoder), (conv_encoder, conv_decoder)


# The interpreter that comes with TensorFlow has a successor in a package of its own.
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
# Keras mends what tf2onnx takes from an older NumPy.
@pytest.mark.filterwarnings("ignore:.*`np.object`:FutureWarning")
@pytest.mark.parametrize("networks", [MLP, CONV], ids=["mlp", "conv"])
@pytest.mark.parametrize(
    ("format", "ending", "run"),
    [("onnx", ".onnx", in_onnxruntime), ("litert", ".tflite", in_litert)],
    ids=["onnx", "litert"],
)
def test_an_exported_model_does_what_predict_does_for_any_number_of_images(
    tiny, bars, tmp_path, format, ending, run, networks
):
    keras.utils.set_random_seed(0)
    vae = VAE(*(network(tiny) for network in networks), seed=0)
    vae.compile("adam")
    vae.fit(bars, verbose=0)
    codes = np.random.default_rng(0).standard_normal((7, 2)).astype("float32")
    for model, values in ((vae, bars[:7]), (vae.encoder, bars[:7]), (vae.decoder, codes)):
        path = str(tmp_path / f"model{ending}")
        model.export(path, format=format, verbose=False)
        for batch in (values, values[:1]):
            wanted = keras.tree.flatten(model.predict(batch, verbose=0))
            for one, other in zip(run(path, batch), wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
