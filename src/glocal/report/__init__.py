"""Reports of an `Explanation`: overlay videos, HTML pages and figures."""

from glocal.utils.lazy_imports import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
