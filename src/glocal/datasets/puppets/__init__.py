"""Puppets: short videos of drawn figures that act, for which every pixel, box, moment and limb is known."""

from glocal.datasets.puppets.actions import ACTIONS, PAIRS
from glocal.datasets.puppets.clip import Act, Actor, PuppetClip
from glocal.datasets.puppets.dataset import DISTRACTORS, Puppets
from glocal.datasets.puppets.export import export
from glocal.datasets.puppets.numbered import SPLITS
from glocal.datasets.puppets.sheet import contact_sheet
from glocal.datasets.puppets.untrimmed import Event, PuppetVideo, Take, UntrimmedPuppets

__all__ = [
    "ACTIONS",
    "DISTRACTORS",
    "PAIRS",
    "SPLITS",
    "Act",
    "Actor",
    "Event",
    "PuppetClip",
    "PuppetVideo",
    "Puppets",
    "Take",
    "UntrimmedPuppets",
    "contact_sheet",
    "export",
]
