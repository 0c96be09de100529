"""Where, when and why a video model decides: attribution, localization and evaluation of 3D CNNs.

Every public name is listed once, in `__init__.pyi`, and imported when it is first used: `import glocal` alone
loads neither PyTorch nor NumPy.
"""

from glocal.utils.lazy_imports import lazy_names

__version__ = "0.2.0"

__getattr__, __dir__, _names = lazy_names(__name__, __file__, renamed={"ClipForm": "ClipSpec"})

__all__ = [*_names, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]
