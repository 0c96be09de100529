"""The networks of paper B's tables: one by name, or several trained with one recipe."""

from collections.abc import Iterator
from typing import Any

from glocal.errors import UsageError
from glocal.models import Model, load_model
from glocal.models.stabn import STABN
from glocal.papers.matched_training import ON_PUPPETS, train_recipe, train_seeds
from glocal.papers.table import TableContext

SEEDS: dict[str, Any] = ON_PUPPETS | {"seeds": 0, "scratch": True, "recipe": ""}
"""By default no network is trained. One that starts from trained weights learns to ignore its attention."""
NETWORK = "st-abn/resnext3d-small"


def table_models(context: TableContext) -> Iterator[tuple[Model, STABN, str]]:
    """The networks of a table: the model, the same as an ST-ABN, and the name or path of its weights.

    With `seeds`, that many are trained on puppets, by `recipe`, or as `glocal table networks` does; otherwise
    it is the model of the context.

    Raises:
        UsageError: the network has no attention of its own; seeds for real data.
    """
    recipe_file = context.options["recipe"]
    if not context.options["seeds"]:
        if recipe_file:
            raise UsageError(f"recipe={recipe_file} trains networks: say how many with seeds=….")
        model = load_table_model(context, context.model)
        yield model, as_stabn(model), weights_name(context, context.model)
        return
    if context.data != "puppets":
        raise UsageError(
            f"seeds=… trains on puppets, not on {context.data}; train a recipe, and give --weights."
        )
    trainings = train_recipe(context, recipe_file) if recipe_file else train_seeds(context, NETWORK)
    for trained in trainings:
        model = load_model(trained.checkpoint, device=context.device)
        yield model, as_stabn(model), str(trained.checkpoint)


def as_stabn(model: Model) -> STABN:
    """Return the network of a model if it is an ST-ABN, and raise UsageError otherwise."""
    if isinstance(model.network, STABN):
        return model.network
    raise UsageError(f"{model.name} has no attention of its own; give --model st-abn/… and its --weights.")


def load_table_model(context: TableContext, name: str) -> Model:
    """Load a network by name, with the weights of the context if it is the table's own."""
    return context.load_model(name)


def weights_name(context: TableContext, name: str) -> str:
    """The name or path of the weights that `load` takes."""
    return context.weights or name if name == context.model else name


def weights_notes(model: Model) -> list[str]:
    """A note on the weights of a row's network."""
    words = f"{model.name}: weights {model.weights}."
    return [words if model.weights != "random" else f"{words} They have learned nothing."]
