"""Training networks as recipes say."""

from glocal.training.recipe import Recipe, read_recipe
from glocal.training.run import train

__all__ = ["Recipe", "read_recipe", "train"]
