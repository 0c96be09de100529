"""What a job's own process does: it looks at the clip, explains it and writes the report."""

import json
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import torch
from PIL import Image
from tqdm import tqdm

from glocal.errors import GlocalError, InputError
from glocal.explanation.explanation import Explanation
from glocal.explanation.runner import explain
from glocal.models import Model, load_model
from glocal.report import overlay, write_report
from glocal.server.job import STEM, UPLOAD, Offer, Task
from glocal.server.limits import Limits
from glocal.video import Video, read_video
from glocal.video.container import opened

POSTER = (320, 240)

Tell = Callable[..., None]


def run_task(connection: Connection, folder: str, task: Task, limits: Limits) -> None:
    """Explain the clip in `folder` and write its report there, within `limits`."""
    os.chdir(folder)
    talk(connection, limits, lambda tell: explain_clip(task, limits, tell))


def talk(connection: Connection, limits: Limits, work: Callable[[Tell], dict[str, Any]]) -> None:
    """Do `work` within `limits`, and say over the connection how far it is and how it ended."""

    def tell(**message: Any) -> None:
        connection.send_bytes(json.dumps(message).encode())

    def follow() -> None:
        connection.poll(None)  # the server never writes: it ends with its end of the connection
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    limits.confine()
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a killed process would leave behind
    torch.set_num_threads(limits.threads)
    cv2.setNumThreads(limits.threads)
    try:
        result = work(tell)
    except GlocalError as error:
        tell(state="failed", error=_sentence(str(error)))
    except Exception as error:
        if _out_of_memory(error):
            gigabytes = limits.memory / 2**30
            tell(
                state="failed",
                error=f"The clip needs more than the {gigabytes:.3g} GB of memory that a job may take; "
                "give a smaller one, or a smaller model.",
            )
            return
        traceback.print_exc()
        tell(
            state="failed",
            error=f"The clip could not be explained because of an unexpected {type(error).__name__}; "
            "try another model or method.",
        )
    else:
        tell(state="done", **result)


def explain_clip(task: Task, limits: Limits, tell: Tell) -> dict[str, Any]:
    """Explain the clip in the working directory; returns what the page shows of the result."""
    tell(stage="Looking at the clip")
    video = checked(Path(UPLOAD), limits)
    tell(stage="Loading the model")
    model = load(task.offer, task.device)
    explanation = explain(
        model,
        video,
        task.target,
        task.method,
        task.layers or None,
        task.aggregate,
        task.counterfactual,
        progress=lambda what, done, total: tell(stage="Explaining", done=done, total=total),
    )
    tell(stage="Drawing the report")
    for part in explanation.classes:
        part.video = replace(part.video, path=task.name)
    written = write_report(explanation, video, Path(), STEM)
    written.append(write_poster(explanation, video))
    best = explanation.predictions[0]
    return {
        "files": sorted(path.name for path in written),
        "prediction": asdict(best),
        "target": asdict(explanation.target),
        "notes": list(explanation.notes),
    }


def checked(path: Path, limits: Limits) -> Video:
    """The video in a file whose real size and length, not only what it says of them, are within `limits`."""
    with opened(path) as (_, stream):
        width, height = stream.width, stream.height
    if width * height > limits.pixels:
        raise InputError(
            f"{path} is {width}×{height} pixels, more than the {limits.pixels / 1e6:g} megapixels that are "
            "taken here; make it smaller"
        )
    video = read_video(path)
    for count, picture in enumerate(video.pictures(), 1):
        if picture.time > limits.seconds:
            raise InputError(
                f"{path} is longer than the {limits.seconds:g} seconds that are taken here; cut it shorter"
            )
        if count > limits.frames:
            raise InputError(
                f"{path} has more than the {limits.frames} frames that are taken here; cut it shorter"
            )
    return video


def load(offer: Offer, device: str) -> Model:
    """The model, with nothing in it that tells where it lies; random weights come from a fixed seed."""
    model = load_model(offer.name, offer.weights, device=device)
    model.weights = ", ".join(part.rpartition("/")[2] for part in model.weights.split(", "))
    return model


def write_poster(explanation: Explanation, video: Video) -> Path:
    """A small picture of the most relevant frame, as `report.jpg`."""
    peak = int(explanation.relevance.argmax())
    picture = Image.fromarray(overlay(video[peak], explanation.frame(peak)))
    picture.thumbnail(POSTER)
    path = Path(f"{STEM}.jpg")
    picture.save(path, quality=85)
    return path


def _out_of_memory(error: Exception) -> bool:
    words = ("can't allocate memory", "insufficient memory", "out of memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error).casefold() for word in words)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}"
