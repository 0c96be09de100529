"""What is asked of a job, as the server hands it to the process that does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UPLOAD = "the file"
"""An upload's name in its job's folder; sentences about it name it so."""

STEM = "report"

SAMPLES = ("jumping jack", "throw", "kick", "walk")
"""Actions that the sample clips show."""


@dataclass(frozen=True)
class Offer:
    """A model that the server offers.

    Attributes:
        name: as `load_model` takes it.
        weights: as `load_model` takes them; None for a model that has its own, or random ones.
    """

    name: str
    weights: str | None = None

    @property
    def key(self) -> str:
        """Its name in the page: that of the model, or of its file without the folder."""
        return Path(self.name).stem if Path(self.name).suffix else self.name


@dataclass(frozen=True)
class Task:
    """One clip, one question.

    Attributes:
        name: of the clip, shown in the report and used for nothing else.
        offer: the model.
        layers: empty for all of the model's.
    """

    name: str
    offer: Offer
    device: str
    target: str
    method: str
    layers: tuple[str, ...]
    aggregate: str
    counterfactual: bool

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Task":
        """The task that `asdict` made `record` of."""
        return cls(**{**record, "offer": Offer(**record["offer"]), "layers": tuple(record["layers"])})
