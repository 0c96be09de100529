"""Find the layers and the class of a model that a config names."""

from collections.abc import Mapping, Sequence

from torch import nn

from glocal.attribution.targets import check_index, top_count
from glocal.errors import UsageError, nearest
from glocal.explanation.config import ExplainConfig
from glocal.models import Model


def check_config(config: ExplainConfig, model: Model) -> None:
    """Check that a model has the layers and the class that a config names.

    Raises:
        UsageError: it lacks one.
    """
    select_layers(model, config.layers)
    resolve_target(config.target, model.labels)


def select_layers(model: Model, names: Sequence[str] | None) -> Mapping[str, nn.Module]:
    """Map names among `model.layers`, or of any submodule, to modules; None selects all of `model.layers`.

    Raises:
        UsageError: a layer is unknown, or no layer is named.
    """
    if names is None:
        return model.layers
    modules = dict(model.network.named_modules())
    layers: dict[str, nn.Module] = {}
    for name in names:
        module = model.layers.get(name, modules.get(name))
        if module is None or not name:
            known = ", ".join(model.layers)
            raise UsageError(
                f"model '{model.name}' has no layer '{name}'.{nearest(name, [*model.layers, *modules])} "
                f"Its layers: {known}; 'glocal layers {model.name} --all' lists every one."
            )
        layers[name] = module
    if not layers:
        raise UsageError(f"no layer to explain; name some of {', '.join(model.layers)}.")
    return layers


def resolve_target(target: str | int, labels: Sequence[str]) -> str | int:
    """Return the class index that a label or a number stands for; `"topK"` is returned as it is.

    Raises:
        UsageError: the class is unknown; the message names the nearest label.
    """
    if isinstance(target, int):
        return check_index(target, len(labels))
    if target in labels:
        return list(labels).index(target)
    if target.isdecimal():
        return check_index(int(target), len(labels))
    folded = [label.casefold() for label in labels]
    if target.casefold() in folded:
        return folded.index(target.casefold())
    if target.startswith("top") and target[3:].isdecimal():
        top_count(target, len(labels))
        return target
    raise UsageError(
        f"the model has no class '{target}'.{nearest(target, list(labels))} "
        f"Give one of its {len(labels)} labels, an index, or topK (top1, top3, …)."
    )
