"""Training networks from YAML recipes."""

from glocal.training.recipe import Recipe, read_recipe
from glocal.training.run import train

__all__ = ["Recipe", "read_recipe", "train"]
