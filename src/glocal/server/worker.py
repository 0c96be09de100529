"""The process of a job: check the clip, explain it, write the report."""

import json
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from glocal.errors import GlocalError, InputError
from glocal.explanation.config import ExplainConfig
from glocal.explanation.explanation import Explanation
from glocal.explanation.runner import explain
from glocal.models import Model
from glocal.report import overlay, write_report
from glocal.server.job import STEM, UPLOAD, OfferedModel, Task
from glocal.server.limits import Limits
from glocal.utils.opencv import set_opencv_threads
from glocal.utils.resources import lack_of, resource_error
from glocal.video import Video, read_video
from glocal.video.demuxing import open_container

POSTER_SIZE = (320, 240)

Send = Callable[..., None]
"""Send a message of keyword arguments to the server."""


def run_task(connection: Connection, folder: str, task: Task, limits: Limits) -> None:
    """Explain the clip in `folder` and write its report there, within `limits`."""
    os.chdir(folder)
    run_confined(connection, limits, lambda send: explain_clip(task, limits, send))


def run_confined(connection: Connection, limits: Limits, work: Callable[[Send], dict[str, Any]]) -> None:
    """Run `work` within limits, and send its progress and its result or error over a connection.

    Args:
        connection: to the server; the process exits when the server closes it.
        limits: of memory, time and file size.
        work: takes a function that sends progress, and returns the result.
    """

    def send(**message: Any) -> None:
        connection.send_bytes(json.dumps(message).encode())

    def exit_with_server() -> None:
        connection.poll(None)  # the server never writes: this returns when the connection is closed
        os._exit(1)

    threading.Thread(target=exit_with_server, daemon=True).start()
    limits.confine()
    tqdm.set_lock(threading.RLock())  # the default is a semaphore, which a killed process would leave locked
    torch.set_num_threads(limits.threads)
    set_opencv_threads(limits.threads)
    try:
        result = work(send)
    except GlocalError as error:
        send(state="failed", error=_sentence(str(error)))
    except Exception as error:
        if lack_of(error) == "memory":
            gigabytes = limits.memory / 2**30
            send(
                state="failed",
                error=f"The clip needs more than the {gigabytes:.3g} GB of memory that a job may use; "
                "give a smaller one, or a smaller model.",
            )
            return
        if lacking := resource_error(error):
            send(state="failed", error=_sentence(str(lacking)))
            return
        traceback.print_exc()
        send(
            state="failed",
            error=f"The clip could not be explained because of an unexpected {type(error).__name__}; "
            "try another model or method.",
        )
    else:
        send(state="done", **result)


def explain_clip(task: Task, limits: Limits, send: Send) -> dict[str, Any]:
    """Explain the clip in the working directory, and return what the page shows of the result."""
    send(stage="Looking at the clip")
    video = check_clip(Path(UPLOAD), limits)
    send(stage="Loading the model")
    model = load_offered_model(task.offer, task.device, repeated=True)
    config = ExplainConfig(
        **{name: value for name, value in task.options.items() if value not in ("", ())},
        progress=lambda what, done, total: send(stage="Explaining", done=done, total=total),
    )
    explanation = explain(model, video, config=config).with_path(task.name)
    send(stage="Drawing the report")
    written = write_report(explanation, video, Path(), STEM)
    written.append(write_poster(explanation, video))
    best = explanation.predictions[0]
    return {
        "files": sorted(path.name for path in written),
        "prediction": {**asdict(best), "unsure": explanation.is_unsure},
        "target": asdict(explanation.target),
        "notes": list(explanation.notes),
    }


def check_clip(path: Path, limits: Limits) -> Video:
    """Return the video in a file after measuring its frames.

    Raises:
        InputError: a frame or the video is larger than the limits, even if its header states less.
    """
    with open_container(path) as (_, stream):
        width, height = stream.width, stream.height
    if width * height > limits.pixels:
        raise InputError(
            f"{path} is {width}×{height} pixels, more than the {limits.pixels / 1e6:g} megapixels that are "
            "allowed; make it smaller"
        )
    video = read_video(path)
    for count, frame in enumerate(video.decoded_frames(), 1):
        if frame.time > limits.seconds:
            raise InputError(
                f"{path} is longer than the {limits.seconds:g} seconds that are allowed; cut it shorter"
            )
        if count > limits.frames:
            raise InputError(
                f"{path} has more than the {limits.frames} frames that are allowed; cut it shorter"
            )
    return video


def load_offered_model(offered: OfferedModel, device: str, *, repeated: bool = False) -> Model:
    """Load a model, and remove folders from the description of its weights.

    Args:
        offered: the model; random weights have seed 0.
        device: of the network.
        repeated: whether the warnings that loading gives have been shown before.
    """
    model = offered.source(device).load(repeated=repeated)
    model.weights = ", ".join(os.path.basename(part) for part in model.weights.split(", "))
    return model


def write_poster(explanation: Explanation, video: Video) -> Path:
    """Write a small picture of the most relevant frame as `report.jpg`."""
    peak = int(explanation.relevance.argmax())
    picture = Image.fromarray(overlay(video[peak], explanation.frame(peak)))
    picture.thumbnail(POSTER_SIZE)
    path = Path(f"{STEM}.jpg")
    picture.save(path, quality=85)
    return path


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}"
