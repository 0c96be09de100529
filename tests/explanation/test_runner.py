"""`glocal.explain`: a video in, attention over its frames out, in the right place and at the right time."""

import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.errors import UsageError
from glocal.models import Model
from glocal.video import windows
from glocal.video.windows import mark_non_overlapping
from helpers.networks import Small2d, Small3d, seeded

LABELS = ("ant", "bee", "cat", "dog", "eel")


def model_of(network: Any, **form: int | str) -> Model:
    form = {"frames": 8, "short_side": 32, "size": 32, **form}
    clip = glocal.ClipSpec(mean=(0.45,) * 3, std=(0.225,) * 3, **form)
    layers = {n: n for n in ("relu1", "layer1", "layer2") if hasattr(network, n)}
    return Model("small", seeded(network).eval(), layers, LABELS, clip)


class Brightness(nn.Module):
    """Attends to bright pixels, exactly: its one layer is the clip's mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 1, 1)
        self.relu = nn.ReLU()
        nn.init.constant_(self.conv.weight, 1 / 3)
        nn.init.constant_(self.conv.bias, -0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = self.relu(self.conv(x)).mean((1, 2, 3, 4))
        return torch.stack([score, -score], 1)


def brightness_model(**form: Any) -> Model:
    network = Brightness().eval()
    form = {"frames": 4, "short_side": 48, "size": 48, **form}
    return Model("brightness", network, {"relu": "relu"}, ("bright", "dark"), glocal.ClipSpec(**form))


def square_video(
    frames: int, height: int, width: int, box: tuple[int, int, int, int], bright: Any = None
) -> np.ndarray:
    video = np.zeros((frames, height, width, 3), np.uint8)
    x0, y0, x1, y1 = box
    video[slice(None) if bright is None else bright, y0:y1, x0:x1] = 255
    return video


@pytest.mark.parametrize("crop", ["full", "center"])
@pytest.mark.parametrize(
    ("height", "width"), [(96, 160), (160, 96), (96, 96), (61, 97), (240, 320), (48, 48), (30, 40)]
)
def test_a_bright_square_comes_back_where_it_was(height: int, width: int, crop: str) -> None:
    side = min(height, width)
    x0, y0 = (width - side) // 2 + side // 4, (height - side) // 2 + side // 3
    x1, y1 = x0 + side // 3, y0 + side // 2
    video = square_video(4, height, width, (x0, y0, x1, y1))
    explanation = glocal.explain(brightness_model(), video, target="bright", crop=crop)
    assert explanation.attention.shape == (4, height, width)
    for found in explanation.boxes(0.5):
        assert len(found) == 1
        assert np.abs(np.array(found[0][:4]) - (x0, y0, x1, y1)).max() <= 1


def test_outside_the_centre_crop_nothing_is_claimed() -> None:
    explanation = glocal.explain(brightness_model(), np.full((4, 48, 96, 3), 255, np.uint8), 0, crop="center")
    attention = explanation.attention
    assert (attention[:, :, :24] == 0).all()
    assert (attention[:, :, 72:] == 0).all()
    assert attention[:, :, 24:72].min() > 0.99


def test_a_bright_moment_comes_back_when_it_was() -> None:
    video = square_video(40, 48, 48, (10, 10, 30, 30), bright=slice(17, 25))
    explanation = glocal.explain(brightness_model(), video, target="bright", weighting="none")
    relevance = explanation.relevance
    assert relevance[17:25].min() > 0.99
    assert relevance[:17].max() == relevance[25:].max() == 0


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_attention_of_one_window_equals_attribute_on_that_clip(stride: int) -> None:
    model = model_of(Small3d(), stride=stride)
    frames = np.random.default_rng(0).integers(0, 255, (8 * stride, 32, 40, 3), np.uint8)
    explanation = glocal.explain(model, frames)
    (window,) = windows(glocal.read_video(frames), model.clip)
    direct = glocal.attribute(model.network, window.clip, model.layers, method="layercam", aggregate="auto")
    assert explanation.target.index == int(direct.target)
    assert np.abs(explanation.attention[::stride] - direct.attention[0].numpy()).max() < 1e-4
    for name, maps in explanation.layers.items():
        assert np.abs(maps[::stride] - direct.layers[name][0].numpy()).max() < 0.003, "8 bits"


def test_frames_between_sampled_ones_are_interpolated() -> None:
    model = model_of(Small3d(), stride=4)
    frames = np.random.default_rng(0).integers(0, 255, (32, 32, 32, 3), np.uint8)
    attention = glocal.explain(model, frames).attention
    for k in range(1, 4):
        expected = attention[4] + k / 4 * (attention[8] - attention[4])
        assert np.abs(attention[4 + k] - expected).max() < 1e-4
    assert np.array_equal(attention[28], attention[31]), "the last sampled frame is held"


def test_windows_are_weighted_by_the_targets_probability() -> None:
    network = Brightness().eval()
    clip = glocal.ClipSpec(frames=4, short_side=16, size=16)
    model = Model("b", network, {"relu": "relu"}, ("bright", "dark"), clip)
    video = np.zeros((12, 16, 16, 3), np.uint8)
    video[:4, 4:8, 4:8] = 255
    video[8:] = 255
    weighted = glocal.explain(model, video, "bright", overlap=0.0)
    flat = glocal.explain(model, video, "bright", overlap=0.0, weighting="none")
    (a, _, c) = (w.clip for w in windows(glocal.read_video(video), clip, overlap=0.0))
    p = [network(x).softmax(1)[0, 0].item() for x in (a, c)]
    assert p[0] < p[1]
    assert weighted.attention[0].max() == pytest.approx(p[0] / p[1], abs=1e-4)
    assert weighted.attention[9].max() == 1
    assert flat.attention[0].max() == flat.attention[9].max() == 1


def test_explain_and_classify_give_the_same_predictions() -> None:
    model = model_of(Small3d())
    frames = np.random.default_rng(0).integers(0, 255, (43, 32, 48, 3), np.uint8)
    predictions = glocal.classify(model, frames)
    assert sum(p.score for p in predictions) == pytest.approx(1, abs=1e-4)
    for target in ("top1", "top2", "dog", 3):
        assert glocal.explain(model, frames, target).predictions == predictions
    assert glocal.explain(model, frames).target.label == predictions[0].label


def test_disjoint_windows_cover_the_video_once_and_end_with_the_last() -> None:
    frames = glocal.read_video(np.zeros((43, 16, 16, 3), np.uint8))
    form = glocal.ClipSpec(frames=8, short_side=16, size=16)
    marked = [w.points[0] for w in mark_non_overlapping(windows(frames, form, overlap=0.5)) if w.is_counted]
    plain = [w.points[0] for w in windows(frames, form, overlap=0.0)]
    assert marked == plain == [0, 8, 16, 24, 32, 35]


def test_top_k_explains_the_best_classes_of_the_video() -> None:
    model = model_of(Small3d())
    frames = np.random.default_rng(0).integers(0, 255, (30, 32, 32, 3), np.uint8)
    for length in (8, 30):
        explanation = glocal.explain(model, frames[:length], "top3")
        assert [e.target.index for e in explanation.per_class] == [
            p.index for p in explanation.predictions[:3]
        ]
        for explained in explanation.per_class:
            alone = glocal.explain(model, frames[:length], explained.target.index)
            assert np.abs(explained.attention - alone.attention).max() < 1e-4


def test_a_video_shorter_than_a_clip_says_so() -> None:
    model = model_of(Small3d())
    for length in (1, 3):
        explanation = glocal.explain(model, np.full((length, 32, 32, 3), 99, np.uint8))
        assert explanation.attention.shape == (length, 32, 32)
        assert any(f"repeated {8 - length} times" in note for note in explanation.notes)


def test_a_short_scene_of_a_long_video_is_a_remark_and_no_warning() -> None:
    model = model_of(Small3d())
    frames = np.full((40, 32, 32, 3), 99, np.uint8)
    for cut, texts in ((37, "remarks"), (3, "remarks"), (30, None)):
        explanation = glocal.explain(model, frames, cuts=[cut])
        assert bool(explanation.remarks) == (texts == "remarks")
        assert not any("repeated" in note for note in explanation.notes)
    explanation = glocal.explain(model, frames[:23], cuts=[20])
    assert any("a scene of the video is shorter" in note for note in explanation.notes)


def test_images_and_image_networks() -> None:
    network = seeded(Small2d(5)).eval()
    layers = {"a": "features.1", "b": "features.6"}
    clip = glocal.ClipSpec(frames=1, short_side=32, size=32, image=True)
    model = Model("image", network, layers, LABELS, clip)
    frames = np.random.default_rng(0).integers(0, 255, (3, 40, 56, 3), np.uint8)
    explanation = glocal.explain(model, frames)
    assert explanation.attention.shape == (3, 40, 56)
    one = glocal.explain(model, frames[:1], explanation.target.index)
    assert 0.9 < one.attention.max() <= 1


def test_optical_flow_and_two_streams() -> None:
    class Flow(Small3d):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv3d(2, 6, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2))

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rgb, self.flow = Small3d(), Flow()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.rgb(x[0]) + self.flow(x[1])) / 2

    frames = np.random.default_rng(0).integers(0, 255, (10, 32, 32, 3), np.uint8)
    flow = glocal.explain(model_of(Flow(), modality="flow"), frames)
    assert flow.attention.shape == (10, 32, 32)
    network = seeded(Both()).eval()
    layers = {"rgb": "rgb.layer1", "flow": "flow.layer1"}
    clip = glocal.ClipSpec(frames=8, short_side=32, size=32, modality="rgb+flow")
    both = glocal.explain(Model("both", network, layers, LABELS, clip), frames)
    assert list(both.layers) == ["rgb", "flow"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "dgo"}, "no class 'dgo'. Did you mean 'dog'"),
        ({"target": 5}, r"class index 5 is out of range.*\(0 to 4\)"),
        ({"target": "top6"}, "top1 to top5"),
        ({"layers": ["layr1"]}, "no layer 'layr1'. Did you mean 'layer1'.*relu1, layer1, layer2"),
        ({"weighting": "loud"}, "neither 'probability' nor 'none'"),
        ({"crop": "left"}, "crop"),
        ({"overlap": 1.0}, "overlap"),
        ({"method": "gradcan"}, "Did you mean 'gradcam'"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        glocal.explain(model_of(Small3d()), np.zeros((8, 32, 32, 3), np.uint8), **arguments)


def test_labels_match_without_regard_to_case_and_indices_as_text() -> None:
    model = model_of(Small3d())
    frames = np.zeros((8, 32, 32, 3), np.uint8)
    assert glocal.explain(model, frames, "DOG").target.index == 3
    assert glocal.explain(model, frames, "3").target.label == "dog"


def test_any_submodule_can_be_named_as_a_layer() -> None:
    explanation = glocal.explain(model_of(Small3d()), np.zeros((8, 32, 32, 3), np.uint8), layers=["layer1.0"])
    assert list(explanation.layers) == ["layer1.0"]


def test_a_video_of_one_clip_on_a_processor_takes_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)
    model = glocal.as_model(seeded(Small3d()), glocal.ClipSpec(frames=8, short_side=32, size=32))
    glocal.explain(model, np.random.default_rng(0).integers(0, 256, (8, 40, 56, 3), np.uint8))
    assert not {"read ahead", "feeding"} & set(started)
