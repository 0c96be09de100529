"""What a figure wears and holds."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Colour = tuple[int, int, int]  # RGB
Item = TypeVar("Item")

SKINS = ((246, 214, 190), (233, 190, 156), (213, 160, 122), (176, 122, 86), (134, 88, 60), (94, 60, 44))
HAIRS = (
    (30, 24, 22),
    (58, 40, 28),
    (96, 64, 38),
    (150, 108, 60),
    (196, 164, 104),
    (150, 146, 142),
    (120, 46, 24),
)
TOOLS = ("ball", "racket", "box")


@dataclass(frozen=True)
class Look:
    """Clothing, skin, hair and the thing in the hand."""

    skin: Colour
    hair: Colour
    haircut: str  # "short", "long", "bald" or "cap"
    shirt: Colour
    stripe: Colour
    stripes: int
    sleeves: str  # "long", "short" or "none"
    trousers: Colour
    shorts: bool
    shoes: Colour
    tool: str | None
    tool_colour: Colour
    tool_size: float


def draw_look(rng: np.random.Generator, tool: str | None) -> Look:
    """Everything at random but the tool."""
    haircut = pick(rng, ("short", "short", "long", "long", "bald", "cap"))
    skin = shade(pick(rng, SKINS), rng.uniform(0.88, 1.1))
    return Look(
        skin=skin,
        hair={"bald": skin, "cap": cloth(rng)}.get(haircut, shade(pick(rng, HAIRS), rng.uniform(0.8, 1.2))),
        haircut=haircut,
        shirt=cloth(rng),
        stripe=cloth(rng),
        stripes=pick(rng, (0, 0, 1, 2, 3)),
        sleeves=pick(rng, ("long", "short", "short", "none")),
        trousers=cloth(rng, 0.6),
        shorts=bool(rng.random() < 0.3),
        shoes=cloth(rng, 0.45),
        tool=tool,
        tool_colour=cloth(rng, 1.1),
        tool_size=float(rng.uniform(0.85, 1.2)),
    )


def pick(rng: np.random.Generator, table: tuple[Item, ...]) -> Item:
    return table[int(rng.integers(len(table)))]


def cloth(rng: np.random.Generator, brightness: float = 0.9) -> Colour:
    """The colour of a fabric: mostly muted, sometimes vivid."""
    saturation = rng.uniform(0.0, 0.35) if rng.random() < 0.55 else rng.uniform(0.35, 0.85)
    return hsv(rng.random(), saturation, brightness * rng.uniform(0.25, 1.0))


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """All in [0, 1]."""
    wheel = (min(max(abs((6 * hue - shift) % 6 - 3) - 1, 0.0), 1.0) for shift in (0, 2, 4))
    red, green, blue = (255 * value * (1 - saturation + saturation * share) for share in wheel)
    return shade((red, green, blue), 1.0)


def tone(
    rng: np.random.Generator, hue: tuple[float, float], saturation: float, value: tuple[float, float]
) -> Colour:
    """A colour in a range of hues and values, with half of `saturation` or more."""
    return hsv(rng.uniform(*hue) % 1, saturation * rng.uniform(0.5, 1.0), rng.uniform(*value))


def gaudy(rng: np.random.Generator, low: float, high: float) -> Colour:
    """Any hue and saturation, of a value between `low` and `high`."""
    hue, saturation = rng.random(2).tolist()
    return hsv(hue, saturation, rng.uniform(low, high))


def shade(colour: tuple[float, float, float], factor: float) -> Colour:
    red, green, blue = (min(max(round(float(channel * factor)), 0), 255) for channel in colour)
    return red, green, blue


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `other`."""
    red, green, blue = (a + share * (b - a) for a, b in zip(one, other, strict=True))
    return shade((red, green, blue), 1.0)
