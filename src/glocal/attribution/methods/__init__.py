"""The attribution methods, one family a file; each registers itself when this package is imported."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
