"""Puppets: short rendered videos of drawn figures that act, with exact ground truth for every pixel."""

from glocal.datasets.puppets.actions import ACTIONS, PAIRS
from glocal.datasets.puppets.clip import Actor, ActorAction, PuppetClip
from glocal.datasets.puppets.contact_sheets import contact_sheet
from glocal.datasets.puppets.dataset import DISTRACTORS, Puppets
from glocal.datasets.puppets.export_files import export
from glocal.datasets.puppets.seeded import SPLITS
from glocal.datasets.puppets.tasks import QUESTIONS, TASKS
from glocal.datasets.puppets.transitions import TransitionClip, TransitionPuppets
from glocal.datasets.puppets.untrimmed import ActionSegment, PuppetVideo, Shot, UntrimmedPuppets

__all__ = [
    "ACTIONS",
    "DISTRACTORS",
    "PAIRS",
    "QUESTIONS",
    "SPLITS",
    "TASKS",
    "ActionSegment",
    "Actor",
    "ActorAction",
    "PuppetClip",
    "PuppetVideo",
    "Puppets",
    "Shot",
    "TransitionClip",
    "TransitionPuppets",
    "UntrimmedPuppets",
    "contact_sheet",
    "export",
]
