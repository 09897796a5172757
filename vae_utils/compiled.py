"""How a training step becomes a program: XLA, several steps at a time, several devices.

Nothing here changes what is computed. The objective is in `model.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vae_utils.batches import batches
from vae_utils.inputs import check_batch_size, checked, images_of, is_array, refuse_weights


def state(model: "CompiledModel") -> list[keras.Variable]:
    """List all that a training starts from: the model's variables, and its optimizers'."""
    # Keras' models have no such attribute before compile.
    optimizers = model.list_optimizers() if getattr(model, "optimizer", None) else []
    return sum((optimizer.variables for optimizer in optimizers), list(model.variables))


class CompiledModel(keras.Model):
    """A Keras model with an objective of its own, whose steps run as few programs.

    A subclass has `encoder`, `decoder` and `image_shape`; `objective(images, training)`, which
    returns the loss and a dict of numbers to track; `trackers`, a mean for each of these;
    `count_step(values)`, which is called in each training step, before the weights move; and
    `restart_evaluation()`, which is called before each evaluation.
    """

    encoder: keras.Model
    decoder: keras.Model
    trackers: list[keras.metrics.Mean]
    train_function: Callable | None
    test_function: Callable | None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        raise NotImplementedError

    def objective(self, images: tf.Tensor, training: bool) -> tuple[tf.Tensor, dict[str, Any]]:
        """Return the loss, and the numbers to track."""
        raise NotImplementedError

    def count_step(self, values: dict[str, Any]) -> None:
        """Move what the loss depends on, such as a schedule, one step on."""
        raise NotImplementedError

    def restart_evaluation(self) -> None:
        """Let each evaluation see the same noise."""
        raise NotImplementedError

    def add_counter(self, name: str, start: int) -> keras.Variable:
        """Add a whole number that is saved with the weights."""
        return self.add_weight(
            shape=(),
            dtype="int32",
            initializer=keras.initializers.Constant(start),
            trainable=False,
            name=name,
            # Where devices differ in their part of a batch, the first one decides.
            aggregation="only_first_replica",
        )

    # ---- a step ----------------------------------------------------------------

    def gradient_step(self, images: tf.Tensor) -> None:
        """Move the weights once, against the gradient of the loss on these images."""
        with tf.GradientTape() as tape:
            loss, values = self.objective(images, training=True)
            # Devices add up their gradients; each has the mean over its part of the batch.
            loss = loss / tf.distribute.get_strategy().num_replicas_in_sync
            # Half precision: the optimizer divides the gradients by the same factor.
            loss = self.optimizer.scale_loss(loss)
        variables = self.variables_to_update()
        self.count_step(values)
        self.update_through_xla(tape.gradient(loss, variables), variables)
        self.track(values, images)

    def variables_to_update(self) -> list[keras.Variable]:
        """List the trainable variables: the encoder's, then the decoder's, then all others."""
        first = [*self.encoder.trainable_variables, *self.decoder.trainable_variables]
        known = {id(variable) for variable in first}
        return first + [v for v in self.trainable_variables if id(v) not in known]

    def update(self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> None:
        """Apply one step of the optimizer. Override it to change how the weights move.

        Without a GPU, it is normally compiled by XLA; `supports_jit = False` prevents that.

        Args:
            gradients: one for each of the variables.
            variables: the encoder's first, then the decoder's, then any others.
        """
        self.optimizer.apply(gradients, variables)

    def build_optimizers(self, variables: Sequence[keras.Variable]) -> None:
        """Build the optimizer. Override this and `list_optimizers` for a second optimizer."""
        if not self.optimizer.built:
            self.optimizer.build(variables)

    def list_optimizers(self) -> list[keras.optimizers.Optimizer]:
        """List the optimizers: a training starts and continues from their state."""
        return [self.optimizer]

    def update_through_xla(
        self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]
    ) -> None:
        """Run `update` as one XLA program within a step that is compiled without XLA.

        An optimizer is dozens of operations for each weight, and each of them reads and writes
        all of its numbers; XLA fuses them into one. (Not with a GPU: nothing was measured on
        one, and TensorFlow has no XLA for a Mac's. Not with a scaled loss either: Keras then
        asks whether all gradients are finite, and got wrong answers through XLA.)
        """
        plain = (
            self.jit_compile
            or tf.executing_eagerly()
            or not self.supports_jit
            or not self._on_one_device
            or tf.config.list_logical_devices("GPU")
            or isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        )
        if plain:
            self.update(gradients, variables)
            return
        update = tf.function(lambda values: self.update(values, variables), jit_compile=True)
        update(gradients)

    def track(self, values: dict[str, Any], images: tf.Tensor) -> None:
        """Add a batch to the running means; a short last batch counts for less."""
        count = ops.shape(images)[0]
        for tracker in self.trackers:
            # With fewer images than devices, some get none, and the mean of none is NaN.
            value = ops.where(count > 0, values[tracker.name], 0.0)
            tracker.update_state(value, sample_weight=count)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means. Keras' own `loss` is not among them: the model tracks its own."""
        return self.trackers

    def _results(self):
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        images = images_of(data, self.image_shape)
        # Counters and noise don't depend on the images: they would move before bad ones fail.
        # (A step that is one XLA program waits for its images as a whole.)
        with tf.control_dependencies([] if self.jit_compile else [images]):
            self.gradient_step(images)
            return self._results()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        images = images_of(data, self.image_shape)
        self.track(self.objective(images, training=False)[1], images)
        return self._results()

    # ---- several steps as one program ------------------------------------------

    @property
    def _on_one_device(self):
        """Whether there is no `tf.distribute` strategy."""
        return self._distribute_strategy is None and not tf.distribute.has_strategy()

    @property
    def batches_per_program(self) -> int | None:
        """How many batches make one program: `steps_per_execution` where that pays, else None.

        It pays with XLA, dense layers, this class's own step and no `tf.distribute` strategy,
        as the program keeps the weights at hand. Within a loop, XLA's convolutions on a
        processor are twenty times slower. `fit` uses it for arrays, without `steps_per_epoch`.
        """
        layers = (layer for net in (self.encoder, self.decoder) for layer in net.layers)
        pays = (
            self.jit_compile
            and not self.run_eagerly
            and self.steps_per_execution > 1
            and all(isinstance(layer, keras.layers.Dense) for layer in layers if layer.weights)
            and type(self).train_step is CompiledModel.train_step
            and self._on_one_device
        )
        return self.steps_per_execution if pays else None

    def _several_steps(self, full, rest):
        """Take a step on each of several batches (k, n, h, w, c), and on a short last batch."""
        count = full.shape[0]

        def step(number):
            self.gradient_step(full[number])
            return (number + 1,)

        # XLA would slice the batches before it looks whether there are any.
        if count:
            tf.while_loop(lambda number: number < count, step, (tf.constant(0),))
        if rest.shape[0]:
            self.gradient_step(rest)
        return self._results()

    def make_train_function(self, force: bool = False) -> None:
        """Make Keras' function, which takes single batches, and one for several at a time."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        one_by_one = self.train_function
        assert one_by_one is not None
        together = tf.function(self._several_steps, jit_compile=self.jit_compile)

        def train(iterator):
            if isinstance(iterator, tf.data.Iterator):
                ranks = [spec.shape.rank for spec in tf.nest.flatten(iterator.element_spec)]
                if ranks == [5, 4]:
                    return together(*next(iterator))
            return one_by_one(iterator)

        self.train_function = train

    def forget_programs(self) -> None:
        """Have the steps compiled again, as after a change in what they compute."""
        # Made anew rather than left out: `fit` may be under way, and calls them without a look.
        if self.train_function is not None:
            self.make_train_function(force=True)
        if self.test_function is not None:
            self.make_test_function(force=True)

    # ---- what Keras offers, with its input checked -----------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str | None = None,
        class_weight: None = None,
        sample_weight: None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> keras.callbacks.History:
        """Train as Keras' `fit` does, with the images checked.

        Args:
            x: images (n, h, w, c) in [0, 1], or anything that gives batches of them, such as
                a `tf.data.Dataset`.
            y: None, or `x`.
            shuffle: None for Keras' default: arrays and a `PyDataset` are shuffled.
            class_weight, sample_weight: None.
            batch_size, epochs, verbose, callbacks: as for Keras' `fit`.
            validation_split, validation_data, validation_steps: as for Keras' `fit`.
            validation_batch_size, validation_freq: as for Keras' `fit`.
            initial_epoch, steps_per_epoch: as for Keras' `fit`.

        Raises:
            ValueError: if `x` or `validation_data` are not images in [0, 1], if `y` is anything
                but `x`, or on sample or class weights. Arrays are checked as a whole before the
                first step; of `tf.data` datasets, generators and a `PyDataset`, the range of the
                first batch is checked when it comes. Of anything else that gives batches, such
                as PyTorch's `DataLoader`, only the shape and type are.
        """
        refuse_weights(sample_weight, class_weight)
        check_batch_size(batch_size)
        with ExitStack() as checks:
            images = checks.enter_context(checked(x, y, self.image_shape))
            if validation_data is not None:
                x, y, weights = keras.utils.unpack_x_y_sample_weight(validation_data)
                refuse_weights(weights)
                check = checked(x, y, self.image_shape, "validation_data")
                others = checks.enter_context(check)
                validation_data = (others,) if is_array(others) else others
            if is_array(images) and not validation_split:
                batch_size = 32 if batch_size is None else batch_size
                if validation_batch_size is None:
                    validation_batch_size = batch_size
                at_once = self.batches_per_program if steps_per_epoch is None else None
                if at_once:
                    steps_per_epoch = -(-len(images) // batch_size)
                in_any_order = shuffle is None or bool(shuffle)
                images = batches(images, batch_size, shuffle=in_any_order, at_once=at_once)
                shuffle, batch_size = False, None
            elif shuffle is None:
                # These have their order; Keras would say that its default can't change it.
                shuffle = not isinstance(images, tf.data.Dataset | Iterator)
            return super().fit(
                images,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: None = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **settings: Any,
    ) -> list[float] | dict[str, float]:
        """Evaluate as Keras does, with the images checked, and the same noise each time.

        With another batch size, images get other noise: compare only values from the same one.

        Returns:
            The metrics, as a list, or by name with `return_dict=True`.

        Raises:
            ValueError: as `fit`.
        """
        refuse_weights(sample_weight)
        check_batch_size(batch_size)
        self.restart_evaluation()
        with checked(x, y, self.image_shape) as images:
            return super().evaluate(
                images, None, batch_size, verbose, None, steps, callbacks, return_dict, **settings
            )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Reconstruct images from their posterior means, like Keras' `predict`, with checks.

        Raises:
            ValueError: if `x` are not images in [0, 1].
        """
        check_batch_size(batch_size)
        with checked(x, None, self.image_shape) as images:
            return super().predict(images, batch_size, verbose, steps, callbacks)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: None = None,
        class_weight: None = None,
        return_dict: bool = False,
    ) -> Any:
        """Train like Keras' `train_on_batch`, with the images checked as those of `fit`."""
        refuse_weights(sample_weight, class_weight)
        with checked(x, y, self.image_shape) as images:
            return super().train_on_batch(images, return_dict=return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: None = None, return_dict: bool = False
    ) -> Any:
        """Evaluate like Keras' `test_on_batch`, with the images checked as those of `fit`."""
        refuse_weights(sample_weight)
        with checked(x, y, self.image_shape) as images:
            return super().test_on_batch(images, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Reconstruct like Keras' `predict_on_batch`, with the images checked."""
        with checked(x, None, self.image_shape) as images:
            return super().predict_on_batch(images)

    def load_weights(self, filepath: str | Path, *args: Any, **settings: Any) -> None:
        """Load as Keras does; weights that don't fit leave the model as it was.

        Compile first: a model without an optimizer ignores the state of the one in the file.
        """
        variables = state(self)
        before = [keras.ops.convert_to_numpy(variable) for variable in variables]
        try:
            super().load_weights(filepath, *args, **settings)
        except Exception:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            raise

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **settings: Any,
    ) -> None:
        """Compile like any Keras model, but without a loss or metrics: the model has its own.

        Another `compile` restarts the optimizer: its moments, its step count, and with it a
        learning-rate schedule. The KL weight stays where it was: its step, and whether its
        gate is open, belong to the model, and are saved with the weights.

        Args:
            optimizer, settings: as for Keras' `compile`.

        Raises:
            ValueError: on a loss or on metrics.
        """
        if loss is not None or loss_weights is not None:
            raise ValueError(
                f"a VAE has a loss of its own; compile it without {loss or loss_weights!r}, and "
                "choose the likelihood and kl_weight of VAE(...) instead"
            )
        if metrics or weighted_metrics:
            raise ValueError(
                "a VAE has metrics of its own: loss, reconstruction, kl, kl_weight, elbo and mse; "
                f"compile it without {metrics or weighted_metrics!r}. For others, use a callback, "
                "or vae_utils' diagnostics after training"
            )
        super().compile(optimizer=optimizer, **settings)
        # Keras builds an optimizer in its first step, and until then loads nothing into it.
        with self.distribute_strategy.scope():
            self.build_optimizers(self.trainable_variables)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a loaded model, as Keras does by itself unless `compile` is overridden."""
        self.compile(**keras.saving.deserialize_keras_object(config))
