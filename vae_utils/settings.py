"""What likelihoods and schedules share: Keras saves them as the numbers that they hold."""

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Settings:
    """A frozen dataclass that is saved as its fields."""

    def get_config(self) -> dict[str, Any]:
        """Return the fields, as Keras saves them."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the object that `get_config` described."""
        return cls(**config)
