"""What the server offers: models, methods and sample clips, looked up in a process of their own."""

from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image

from glocal.attribution import AGGREGATES, METHODS
from glocal.datasets.puppets import ACTIONS, Puppets
from glocal.models.card import packaged_models
from glocal.server.job import SAMPLES, Offer
from glocal.server.limits import Limits
from glocal.server.worker import POSTER, load, talk
from glocal.video import write_video

UNTRAINED = "resnext3d-small"


def run_stock(connection: Connection, offers: Sequence[Offer], device: str, limits: Limits) -> None:
    """Tell of models and methods; without `offers`, of the trained models that come with the library."""
    talk(connection, limits, lambda tell: stock(offers, device))


def stock(offers: Sequence[Offer], device: str) -> dict[str, Any]:
    """Every model is loaded once, so that one that cannot be is known before the server opens."""
    offers = offers or [Offer(name) for name in packaged_models()] or [Offer(UNTRAINED)]
    models = []
    for offer in offers:
        model = load(offer, device)
        models.append(
            {
                "name": offer.key,
                "offer": asdict(offer),
                "weights": model.weights,
                "frames": model.clip.frames,
                "size": model.clip.size,
                "image": model.clip.image,
                "layers": list(model.layers),
                "labels": list(model.labels),
            }
        )
    methods = [
        {"name": m.name, "title": m.title, "paper": m.paper, "cost": m.cost, "needs": m.needs}
        for m in METHODS.values()
    ]
    return {"models": models, "methods": methods, "aggregates": list(AGGREGATES)}


def run_samples(connection: Connection, folder: str, limits: Limits) -> None:
    """Render the sample clips that `folder` does not have yet, each with a picture of it."""
    talk(connection, limits, lambda tell: samples(Path(folder)))


def samples(folder: Path) -> dict[str, Any]:
    """One clip for each of `SAMPLES`; the picture is written last, so where it is the clip is whole."""
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
        picture.thumbnail(POSTER)
        picture.save(path.with_suffix(".jpg"), quality=85)
    return {}
