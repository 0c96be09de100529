"""Networks, their weights and their class names."""

from glocal.utils.lazy_imports import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
