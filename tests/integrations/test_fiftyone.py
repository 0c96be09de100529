"""Localizations become samples and a data set of FiftyOne, with its real database where there is one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glocal
from glocal.explanation.parts import VideoFacts
from glocal.integrations.fiftyone import fiftyone_dataset, fiftyone_sample
from glocal.localization import ClassLocalization, Localization, ScoredBox, Segment
from glocal.video import write_video
from helpers.networks import Small3d, seeded

CLIP = glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3)


@pytest.fixture(scope="module")
def fiftyone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The package, with a database in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_DATABASE_DIR", str(tmp_path_factory.mktemp("database")))
        patch.setenv("FIFTYONE_DO_NOT_TRACK", "true")
        yield pytest.importorskip("fiftyone", reason="FiftyOne is not here: make test-integrations")


@pytest.fixture
def database(fiftyone: Any) -> Any:
    """The package, if its database starts."""
    from fiftyone.core.config import FiftyOneConfigError
    from fiftyone.core.service import ServiceException

    try:
        fiftyone.list_datasets()
    except (FiftyOneConfigError, ServiceException, ConnectionError) as error:
        pytest.skip(f"FiftyOne has no database: {str(error).strip().splitlines()[0]}")
    return fiftyone


def localization() -> Localization:
    boxes = [[ScoredBox(4, 2, 12, 10, 0.75)] for _ in range(6)]
    segment = Segment(0.2, 0.5, 0.4, "walk", 2, 5)
    part = ClassLocalization("walk", 7, 0.5, 0.4, boxes, (), (segment,), [t > 1 for t in range(6)])
    video = VideoFacts("clip.mp4", 16, 20, 10.0, 6)
    return Localization("clip", video, [t / 10 for t in range(6)], (part,))


def test_moments_and_boxes_are_in_the_sample(fiftyone: Any) -> None:
    sample = fiftyone_sample(localization(), "films/clip.mp4")
    assert (sample.media_type, sample.metadata.total_frame_count) == ("video", 6)
    assert sample.filepath.endswith("films/clip.mp4")
    (moment,) = sample["moments"].detections
    assert (moment.label, moment.support, moment.confidence) == ("walk", [3, 5], 0.4)
    assert sorted(sample.frames) == [3, 4, 5, 6]
    (detection,) = sample.frames[3]["boxes"].detections
    assert (detection.label, detection.confidence) == ("walk", 0.75)
    assert detection.bounding_box == pytest.approx([0.25, 0.1, 0.5, 0.4])


def test_a_data_set_finds_the_clips_of_its_moments(database: Any) -> None:
    fiftyone_dataset([localization()], "moments-of-walks")
    stored = database.load_dataset("moments-of-walks")
    assert stored.media_type == "video"
    clip = stored.to_clips("moments").first()
    assert (clip.support, clip["moments"].label) == ([3, 5], "walk")
    assert stored.count_values("frames.boxes.detections.label") == {"walk": 4}


def test_a_data_set_holds_what_was_localized_in_an_explained_video(database: Any, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (24, 40, 48, 3), np.uint8)
    write_video(tmp_path / "noise.mp4", frames, 10)
    network = glocal.as_model(seeded(Small3d()), CLIP, labels=[f"class {i}" for i in range(5)])
    localized = glocal.localize(glocal.explain(network, tmp_path / "noise.mp4"))
    (part,) = localized.per_class
    fiftyone_dataset([localized], "noise", persistent=True)

    sample = database.load_dataset("noise").first()
    assert Path(sample.filepath) == tmp_path / "noise.mp4"
    assert sample.metadata.total_frame_count == 24
    assert [moment.support for moment in sample["moments"].detections] == [
        [segment.first + 1, segment.stop] for segment in part.segments
    ]
    stored = {
        number - 1: [detection.confidence for detection in frame["boxes"].detections]
        for number, frame in sample.frames.items()
    }
    assert stored == {
        index: [box.score for box in boxes] for index, boxes in enumerate(part.relevant_boxes) if boxes
    }
    assert len(database.load_dataset("noise").to_clips("moments")) == len(part.segments) > 0
