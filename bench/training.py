"""Training from video files: clips a second, and how long the network waits for them.

The network alone takes a batch that is in memory, and decoding alone makes the same batches without a network.
Needs the extra `train`.
"""

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.overlay import moving_texture
from glocal.attribution.inputs.network_inputs import channels_last
from glocal.models import load_model
from glocal.video import write_video

CLASSES, VIDEOS, FRAMES, HEIGHT, WIDTH, FPS = ("left", "right"), 24, 64, 240, 320, 25
WORKERS = (0, 1, 2)

RECIPE = """
model: {{name: resnext3d-small, clip: {{frames: 16, size: 112, short_side: 112}}}}
data:
  train: {{source: folder, root: {root}, split: train}}
run: {{epochs: 2, batch: 8, clips_per_epoch: 48, workers: {workers}, accelerator: cpu}}
"""


def write_data(root: Path) -> None:
    """Write videos of two classes, which move to the left and to the right."""
    scene = moving_texture(FRAMES, HEIGHT, WIDTH)
    for label, frames in zip(CLASSES, (scene, scene[::-1]), strict=True):
        folder = root / "train" / label
        folder.mkdir(parents=True)
        for number in range(VIDEOS // len(CLASSES)):
            write_video(folder / f"{number}.mp4", frames, FPS)


def alone(path: Path) -> dict[str, float]:
    """Clips a second of decoding without a network, and of the network without decoding."""
    from glocal.training.clips import TrainingClips
    from glocal.training.module import to_channels_last
    from glocal.training.optimization import total_loss
    from glocal.training.recipe import AugmentationConfig, read_recipe
    from glocal.training.run import clip_spec_of
    from glocal.training.sampling import ClipKey
    from glocal.training.sources import open_source

    recipe = read_recipe(path)
    source = open_source(recipe.data.train, "data.train")
    clips = TrainingClips(source, clip_spec_of(recipe), AugmentationConfig(), source.labels, 0)
    start = perf_counter()
    batches = [clips[ClipKey(0, position, position)] for position in range(len(source))]
    decoding = len(batches) / (perf_counter() - start)
    network = load_model(recipe.model.name, labels=source.labels, clip=clips.clip_spec).network.train()
    to_channels_last(network)
    pixels = channels_last(batches[0].clips.expand(recipe.run.batch, *batches[0].clips.shape))
    labels = batches[0].labels.expand(recipe.run.batch)
    rounds = len(source) // recipe.run.batch
    for turn in range(rounds + 1):
        if turn == 1:
            start = perf_counter()
        total_loss(network, pixels, labels, smoothing=0.0).backward()  # type: ignore[no-untyped-call]
    return {
        "decoding": decoding,
        "network": rounds * recipe.run.batch / (perf_counter() - start),
    }


def run() -> dict[str, Any]:
    from glocal.training.metrics_log import read_metrics
    from glocal.training.recipe import read_recipe
    from glocal.training.run import train

    results: dict[str, Any] = {}
    print(f"\ntraining on {VIDEOS} videos of {WIDTH}×{HEIGHT}, clips of 16×112×112, resnext3d-small")
    with tempfile.TemporaryDirectory() as name:
        root, path = Path(name), Path(name) / "recipe.yaml"
        write_data(root)
        path.write_text(RECIPE.format(root=root, workers=0))
        results["alone"] = alone(path)
        for what, rate in results["alone"].items():
            print(f"{what + ' alone':22}{rate:8.1f} clips/s")
        for workers in WORKERS:
            path.write_text(RECIPE.format(root=root, workers=workers))
            out = root / f"run {workers}"
            train(read_recipe(path), out)
            last = {row[2]: float(row[3]) for row in read_metrics(out / "metrics.csv")}
            rate, waiting = last["speed/clips_per_second"], last["speed/waiting"]
            share = rate / results["alone"]["network"]
            results[f"{workers} workers"] = {
                "clips_per_second": rate,
                "waiting": waiting,
                "of_network": share,
            }
            print(
                f"training, {workers} workers   {rate:8.1f} clips/s, {share:.2f} of the network alone, "
                f"waits for {waiting:.0%} of the time",
                flush=True,
            )
    return results
