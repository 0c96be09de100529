"""Windows over the transitions of untrimmed puppets, and training on them."""

from pathlib import Path

import numpy as np
import pytest

from glocal.datasets.puppets import TransitionPuppets, UntrimmedPuppets
from glocal.datasets.puppets.transitions import choose_window
from glocal.datasets.puppets.untrimmed import ActionSegment
from glocal.errors import UsageError
from glocal.training import read_recipe
from glocal.training.sources import PuppetSource, open_source

OPTIONS = {"size": 32, "scale": (0.5, 1.0), "seed": 3}
RECIPE = Path(__file__).parents[3] / "recipes/puppets-transitions.yaml"


def test_segments_and_lengths_are_known_without_rendering() -> None:
    videos = UntrimmedPuppets("val", 3, size=32, cuts=0.7)
    for index in range(3):
        video = videos[index]
        assert tuple(videos.segments(index)) == video.segments
        assert videos.frame_count(index) == len(video.frames)


def test_a_window_has_most_of_its_action_and_a_part_of_another() -> None:
    windows = TransitionPuppets("val", 8, **OPTIONS)
    shows_another = 0
    for index in range(8):
        clip, (start, segment) = windows[index], windows.window(index)
        video = windows.videos[index]
        assert clip.frames.shape == (16, 32, 32, 3)
        assert np.array_equal(clip.frames, video.frames[start : start + 16])
        assert clip.class_name == windows.class_of(index) == windows.classes[clip.label]
        shares = {other: min(other.end, start + 16) - max(other.start, start) for other in video.segments}
        assert max(shares, key=lambda other: shares[other]) == segment
        assert 2 * shares[segment] >= segment.end - segment.start
        shows_another += sum(share > 0 for share in shares.values()) > 1
        assert all((start + cut) in video.cuts for cut in clip.cuts)
    assert shows_another >= 5


def test_windows_over_a_transition_come_first_and_ties_are_left_out() -> None:
    segments = [ActionSegment("a", 0, 4, 12), ActionSegment("b", 1, 20, 28)]
    starts = {choose_window(np.random.default_rng(seed), segments, 16, 20).start for seed in range(60)}
    assert starts == {5, 6, 7, 9, 10, 11}, "at 8, both are whole; earlier and later, only one is seen"
    alone = choose_window(np.random.default_rng(0), segments[:1], 16, 2)
    assert alone.segment.action == "a"
    assert choose_window(np.random.default_rng(0), segments, 60, 0).segment.action == "a", (
        "nothing else is there"
    )


def test_a_recipe_trains_on_them_and_keeps_what_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOCAL_CACHE", str(tmp_path))
    options = dict(read_recipe(RECIPE).data.train) | {"length": 3, "size": 24}
    source = open_source(options, "data.train")
    assert isinstance(source, PuppetSource)
    frames = source.read(1, np.arange(16))
    assert np.array_equal(np.stack(frames), source.puppets[1].frames)
    assert len(list((tmp_path / "puppets").glob("*.npy"))) == 1
    again = open_source(options, "data.train")
    assert source.identity(1) == again.identity(1)
    assert open_source(options | {"cuts": 1.0}, "data.train").identity(1) != source.identity(1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"frames": 4}, "a window needs at least 5"),
        ({"cuts": 2.0}, "use a probability"),
        ({"size": 3}, "size is"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        TransitionPuppets("val", 1, **options)
