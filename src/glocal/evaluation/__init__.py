"""How well a model does: measures that are updated bit by bit, and merged over processes."""

from glocal.evaluation.accuracy import Accuracy

__all__ = ["Accuracy"]
