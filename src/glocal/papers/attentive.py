"""The networks of paper B's tables: the one that is asked for, or several that are trained alike."""

from collections.abc import Iterator

from glocal.errors import UsageError
from glocal.models import Model, load_model
from glocal.models.stabn import STABN
from glocal.papers.alike import ON_PUPPETS, seeds
from glocal.papers.table import Context

SEEDS = ON_PUPPETS | {"seeds": 0, "scratch": True}
"""By default no network is trained. One that knows the classes already learns to do without its attention."""
NETWORK = "st-abn/resnext3d-small"


def attentive(context: Context) -> Iterator[tuple[Model, STABN, str]]:
    """The networks of a table: the model, the same as an ST-ABN, and the name or path of its weights.

    With `seeds`, so many are trained on puppets, as `glocal table networks` does; else there is the one
    that is asked for.

    Raises:
        UsageError: the network has no attention of its own; seeds for real data.
    """
    if not context.options["seeds"]:
        model = load(context, context.model)
        yield model, attending(model), asked(context, context.model)
        return
    if context.data != "puppets":
        raise UsageError(
            f"seeds=… trains on puppets, not on {context.data}; train a recipe, and give --weights."
        )
    for each in seeds(context, NETWORK):
        model = load_model(each.checkpoint, device=context.device)
        yield model, attending(model), str(each.checkpoint)


def attending(model: Model) -> STABN:
    """The network of a model, if it is an ST-ABN."""
    if isinstance(model.network, STABN):
        return model.network
    raise UsageError(f"{model.name} has no attention of its own; give --model st-abn/… and its --weights.")


def load(context: Context, name: str) -> Model:
    """A network by name, with the weights that are asked for if it is the table's."""
    weights = context.weights if name == context.model else None
    return load_model(name, weights, labels=context.labels, device=context.device)


def asked(context: Context, name: str) -> str:
    """The name or path of the weights that `load` takes."""
    return context.weights or name if name == context.model else name


def notes_of(model: Model) -> list[str]:
    """Whose weights a row's network has."""
    words = f"{model.name}: weights {model.weights}."
    return [words if model.weights != "random" else f"{words} They have learned nothing."]
