"""Contact sheets: clips as rows of frames, with their ground truth drawn on them."""

from collections.abc import Iterable

import numpy as np

from glocal.datasets.puppets.clip import PuppetClip
from glocal.types import Pixels
from glocal.utils.opencv import cv2

CAPTION_HEIGHT = 16  # pixels above a row
ACTOR_COLOUR, BYSTANDER_COLOUR, ACTING_TINT = (255, 214, 10), (90, 200, 250), np.array((255, 45, 85))


def contact_sheet(
    clips: Iterable[PuppetClip], columns: int = 8, *, truth: bool = True, height: int | None = None
) -> Pixels:
    """Draw each clip as a row of `columns` frames, captioned with action and span; (rows, width, 3) uint8.

    With `truth`, the box of an actor is yellow, that of a bystander blue, and the limbs and the tool that
    make the action are tinted red in the frames of the action. `height` scales the frames to that many
    pixels.
    """
    return np.concatenate([_row(clip, columns, truth, height) for clip in clips])


def _row(clip: PuppetClip, columns: int, truth: bool, height: int | None) -> Pixels:
    frames = np.rint(np.linspace(0, len(clip.frames) - 1, columns)).astype(int)
    factor = (height or clip.frames.shape[1]) / clip.frames.shape[1]
    tiles = []
    for t in frames:
        tile = _resize(clip.frames[t], factor)
        if truth:
            tile = _draw_truth(tile, clip, int(t), factor)
        corner = (4, tile.shape[0] - 4)
        cv2.putText(tile, str(t), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 2, cv2.LINE_AA)
        cv2.putText(tile, str(t), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.33, (255, 255, 255), 1, cv2.LINE_AA)
        tiles.append(np.pad(tile, ((0, 2), (0, 2), (0, 0))))
    row = np.concatenate(tiles, 1)
    caption = np.full((CAPTION_HEIGHT, row.shape[1], 3), 24, np.uint8)
    cv2.putText(
        caption, _caption(clip), (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (240, 240, 240), 1, cv2.LINE_AA
    )
    return np.concatenate([caption, row])


def _caption(clip: PuppetClip) -> str:
    actions = [f"{a.action} [{a.start}, {a.end})" for actor in clip.actors for a in actor.actions]
    is_chosen = clip.cue is not None or len(clip.actors[0].actions) > 1 or clip.class_name != clip.action
    return f"{clip.class_name + ': ' if is_chosen else ''}{' + '.join(actions)}   {clip.name}"


def _resize(image: Pixels, factor: float) -> Pixels:
    if factor == 1:
        return np.array(image)
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=mode), np.uint8)


def _draw_truth(tile: Pixels, clip: PuppetClip, t: int, factor: float) -> Pixels:
    for actor in clip.actors:
        acting = np.asarray(cv2.resize(actor.acting[t].astype(np.uint8), tile.shape[1::-1])) > 0
        tile[acting] = (0.55 * tile[acting] + 0.45 * ACTING_TINT).astype(np.uint8)
        x0, y0, x1, y1 = (round(float(value) * factor) for value in actor.boxes[t])
        if x1 > x0:
            colour = ACTOR_COLOUR if actor.actions else BYSTANDER_COLOUR
            cv2.rectangle(tile, (x0, y0), (x1 - 1, y1 - 1), colour, 1)
    return tile
