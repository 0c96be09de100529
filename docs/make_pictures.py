"""Draw the contact sheets in docs/pictures: `python docs/make_pictures.py`."""

from pathlib import Path

import cv2

from glocal.datasets.puppets import PuppetClip, Puppets, contact_sheet

PICTURES = Path(__file__).with_name("pictures")


def save(name: str, clips: list[PuppetClip], *, truth: bool) -> None:
    """Write a contact sheet of clips to docs/pictures."""
    sheet = contact_sheet(clips, 8, truth=truth)
    cv2.imwrite(str(PICTURES / f"{name}.jpg"), sheet[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def render(indices: tuple[int, ...], **options: object) -> list[PuppetClip]:
    """Render test clips with the given options of `Puppets`."""
    clips = Puppets("test", 100, size=144, seed=2, **options)
    return [clips[index] for index in indices]


plain = Puppets("test", 20, size=144, scale=(0.55, 0.85), distractor="none", occlusion=0.0, seed=1)
save("puppets-actions", list(plain), truth=False)
small = {"size": 144, "fps": 5.0, "distractor": "none", "occlusion": 0.0, "scale": (0.5, 0.7), "seed": 2}
save(
    "puppets-tasks",
    [Puppets("test", 10, task="decoys", **small)[5]]
    + [Puppets("test", 10, task="cue-in-time", **small)[index] for index in (0, 2)]
    + [Puppets("test", 10, task="cue-in-space", **small)[index] for index in (0, 3)],
    truth=True,
)
save(
    "puppets-hard",
    render((6, 15, 17), scale=(0.1, 0.2))
    + render((25, 31, 49), scale=(0.4, 0.8), distractor="idle")
    + render((3, 12, 28), scale=(0.5, 1.0), distractor="motion", occlusion=1.0)
    + render((4, 10, 13), distractor="acting"),
    truth=True,
)
