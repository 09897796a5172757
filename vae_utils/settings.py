"""What likelihoods and schedules share: Keras saves them as the fields that they hold."""

from dataclasses import dataclass, fields
from typing import Any, Self

import keras


@dataclass(frozen=True)
class Settings:
    """A frozen dataclass that is saved as its fields: numbers, text, tuples, others like itself."""

    def get_config(self) -> dict[str, Any]:
        """Return the fields, as Keras saves them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the object that `get_config` described."""
        return cls(**{name: _loaded(value) for name, value in config.items()})


def _loaded(value):
    """Return a field as it was before it was saved: files have lists in place of tuples."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_loaded, value))
    return keras.saving.deserialize_keras_object(value)
