"""Explain a whole video: windows, attribution, blending, and the `Explanation` they give."""

from glocal.utils.lazy_imports import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
