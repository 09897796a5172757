"""What likelihoods and schedules share: Keras saves them as their numbers."""

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Settings:
    """A frozen dataclass whose fields are all that there is to save."""

    def get_config(self) -> dict[str, Any]:
        """The fields, as Keras saves them."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The object that `get_config` described."""
        return cls(**config)
