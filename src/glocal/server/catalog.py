"""The models, methods and sample clips that the server offers.

Models are loaded and clips are rendered in a separate process, so that the server does not import PyTorch.
"""

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from glocal.errors import InputError
from glocal.explanation.config import ExplainConfig
from glocal.server.child_process import ChildProcess
from glocal.server.job import SAMPLES, Catalog, OfferedModel
from glocal.server.limits import Limits

STARTUP_SECONDS = 600.0
"""Time in which all models must be loaded when the server starts."""

UNTRAINED_MODEL = "resnext3d-small"
"""Offered if no trained model is packaged or installed."""


def open_catalog(models: Sequence[OfferedModel], device: str, limits: Limits) -> Catalog:
    """Load each model once, and return what the server offers.

    Args:
        models: to offer, the first of which the page suggests; by default those whose weights are in an
            installed package, and the trained models that come with the library.
        device: of the models.
        limits: of the process that loads them.

    Raises:
        InputError: a model cannot be loaded.
    """
    process = ChildProcess("glocal.server.catalog:run_catalog", tuple(models), device, limits)
    try:
        *_, message = process.messages(STARTUP_SECONDS)
    finally:
        process.close()
    if message.pop("state") != "done":
        raise InputError(message["error"])
    return message


def run_catalog(connection: Connection, models: Sequence[OfferedModel], device: str, limits: Limits) -> None:
    """Send the catalog over a connection; runs in a process of its own."""
    from glocal.server.worker import run_confined

    run_confined(connection, limits, lambda send: load_catalog(models, device))


def load_catalog(models: Sequence[OfferedModel], device: str) -> Catalog:
    """Load each model and return the catalog, with the `warnings` that loading gave."""
    from glocal.attribution import AGGREGATES, METHODS
    from glocal.models.names import packaged_models
    from glocal.models.registry import networks_with_installed_weights
    from glocal.server.worker import load_offered_model

    trained = [*networks_with_installed_weights(), *packaged_models()]
    models = models or [OfferedModel(name) for name in trained or [UNTRAINED_MODEL]]
    rows = []
    texts: list[str] = []
    for offered in models:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            model = load_offered_model(offered, device)
        texts += [str(item.message) for item in caught if item.category is UserWarning]
        rows.append(
            {
                "name": offered.key,
                "offer": asdict(offered),
                "weights": model.weights,
                "frames": model.clip.frames,
                "size": model.clip.size,
                "image": model.clip.image,
                "layers": list(model.layers),
                "labels": list(model.labels),
                "knows": model.classes,
            }
        )
    default_first = sorted(METHODS.values(), key=lambda m: m.name != ExplainConfig().method)
    facts = ("name", "title", "paper", "cost", "needs", "aggregate")
    methods = [{fact: getattr(m, fact) for fact in facts} for m in default_first]
    return {"models": rows, "methods": methods, "aggregates": list(AGGREGATES), "warnings": texts}


def sample_names(folder: Path) -> list[str]:
    """Return the names of the sample clips that have been rendered into a folder."""
    return [name for name in SAMPLES if (folder / f"{name}.jpg").exists()]


def run_samples(connection: Connection, folder: str, limits: Limits) -> None:
    """Render the sample clips that a folder lacks; runs in a process of its own."""
    from glocal.server.worker import run_confined

    run_confined(connection, limits, lambda send: render_samples(Path(folder)))


def render_samples(folder: Path) -> dict[str, Any]:
    """Render a clip and a picture for each of `SAMPLES` that a folder lacks.

    The picture is written last: if it exists, its clip is complete.
    """
    from PIL import Image

    from glocal.datasets.puppets import ACTIONS, Puppets
    from glocal.server.worker import POSTER_SIZE
    from glocal.video import write_video

    clips = Puppets(
        "test", frames=24, size=(240, 320), fps=8.0, distractor="idle", occlusion=0.0, scale=(0.6, 0.8)
    )
    for action in SAMPLES:
        path = folder / f"{action}.mp4"
        if path.with_suffix(".jpg").exists():
            continue
        clip = clips[ACTIONS.index(action)]
        write_video(path, clip.frames, clip.fps)
        picture = Image.fromarray(clip.frames[sum(clip.span) // 2])
        picture.thumbnail(POSTER_SIZE)
        picture.save(path.with_suffix(".jpg"), quality=85)
    return {}
