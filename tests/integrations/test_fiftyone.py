"""Localizations become samples and a data set of FiftyOne."""

import pytest

from glocal.explanation.explanation import VideoFacts
from glocal.integrations.fiftyone import fiftyone_dataset, fiftyone_sample
from glocal.localization import ClassLocalization, Localization, ScoredBox, Segment


def localization() -> Localization:
    boxes = [[ScoredBox(4, 2, 12, 10, 0.75)] for _ in range(6)]
    segment = Segment(0.2, 0.5, 0.4, "walk", 2, 5)
    part = ClassLocalization("walk", 7, 0.5, 0.4, boxes, (), (segment,), [t > 1 for t in range(6)])
    video = VideoFacts("clip.mp4", 16, 20, 10.0, 6)
    return Localization("clip", video, [t / 10 for t in range(6)], (part,))


def test_moments_and_boxes_are_in_the_sample() -> None:
    pytest.importorskip("fiftyone")
    sample = fiftyone_sample(localization(), "films/clip.mp4")
    assert (sample.media_type, sample.metadata.total_frame_count) == ("video", 6)
    assert sample.filepath.endswith("films/clip.mp4")
    (moment,) = sample["moments"].detections
    assert (moment.label, moment.support, moment.confidence) == ("walk", [3, 5], 0.4)
    assert sorted(sample.frames) == [3, 4, 5, 6]
    (detection,) = sample.frames[3]["boxes"].detections
    assert (detection.label, detection.confidence) == ("walk", 0.75)
    assert detection.bounding_box == pytest.approx([0.25, 0.1, 0.5, 0.4])


def test_a_data_set_finds_the_clips_of_its_moments() -> None:
    fiftyone = pytest.importorskip("fiftyone")
    try:
        dataset = fiftyone_dataset([localization()], "glocal-test")
    except fiftyone.core.config.FiftyOneConfigError as error:
        pytest.skip(f"FiftyOne has no database: {error}")
    try:
        assert dataset.to_clips("moments").first().support == [3, 5]
    finally:
        fiftyone.delete_dataset("glocal-test")
