"""The preprocessing that processors, configurations and transforms state, against what they compute."""

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.errors import InputError, UsageError
from glocal.models.preprocessing import Preprocessing, find_clip_spec
from glocal.models.processors import read_processor
from glocal.types import Pixels
from glocal.video import Geometry, read_video
from glocal.video.clip_spec import rgb_clip
from helpers.networks import Small3d, seeded
from helpers.token_networks import FRAMES, SIDE, timesformer, videomae, vivit

TOLERANCE = 0.04
"""Mean difference of a value from the processor's, as a share of its range; the filters of resizing differ."""


@pytest.fixture
def frames(shared: Path) -> Pixels:
    """The first frames of a real clip, of 320×240 pixels."""
    video = read_video(next(iter(sorted((shared / "clips").rglob("*.avi")))))
    return np.stack(list(video.frames_at(range(0, 8, 2))))


def prepared(clip_spec: glocal.ClipSpec, frames: Pixels) -> torch.Tensor:
    """Frames `(T, C, H, W)` as a clip of that specification."""
    geometry = Geometry.fit((frames.shape[1], frames.shape[2]), clip_spec)
    return rgb_clip([geometry.forward(frame) for frame in frames], clip_spec)[0].transpose(0, 1)


def check_equal(clip_spec: glocal.ClipSpec, frames: Pixels, expected: torch.Tensor) -> None:
    """Check that a specification prepares frames as in `expected` `(T, C, H, W)`."""
    clip = prepared(clip_spec, frames)
    assert clip.shape == expected.shape
    spread = float(expected.max() - expected.min())
    assert float((clip - expected).abs().mean()) < TOLERANCE * spread
    # Resizing keeps means: offsets, factors and the order of the channels show there.
    torch.testing.assert_close(clip.mean((0, 2, 3)), expected.mean((0, 2, 3)), atol=0.01 * spread, rtol=0)


def processor_of(name: str, **options: Any) -> Any:
    """A processor of `transformers`; tests skip where it needs torchvision and that is not installed."""
    try:
        return getattr(pytest.importorskip("transformers"), name)(**options)
    except ImportError as problem:
        pytest.skip(" ".join(str(problem).split())[:80])


IMAGENET: dict[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
KINETICS: dict[str, Any] = {"image_mean": [0.45, 0.45, 0.45], "image_std": [0.225, 0.225, 0.225]}

PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    ("VideoMAEImageProcessorPil", IMAGENET),
    ("VideoMAEImageProcessorPil", KINETICS),
    ("VideoMAEImageProcessorPil", {"size": {"shortest_edge": 182}, "crop_size": 160}),
    ("VideoMAEImageProcessorPil", {"do_normalize": False}),
    ("VideoMAEImageProcessorPil", {"do_rescale": False, **KINETICS}),
    ("VivitImageProcessor", {}),
    ("VivitImageProcessor", {"offset": False, "rescale_factor": 1 / 255}),
    ("CLIPImageProcessorPil", {}),
    ("ViTImageProcessorPil", {}),
    ("ViTImageProcessorPil", {"size": 192, **IMAGENET}),
    ("DeiTImageProcessorPil", {}),
    ("ConvNextImageProcessorPil", {"size": {"shortest_edge": 224}}),
    ("ConvNextImageProcessorPil", {"size": {"shortest_edge": 384}}),
    ("VideoMAEVideoProcessor", {}),
    ("TimesformerVideoProcessor", KINETICS),
    ("VivitVideoProcessor", {}),
    ("VJEPA2VideoProcessor", {}),
    ("VJEPA2VideoProcessor", {"crop_size": 384}),
]


@pytest.mark.parametrize(("name", "options"), PROCESSORS)
def test_a_clip_is_prepared_as_the_processor_of_transformers_does(
    frames: Pixels, name: str, options: dict[str, Any]
) -> None:
    processor = processor_of(name, **options)
    result = processor(list(frames), return_tensors="pt")
    expected = next(value for key, value in result.items() if key.startswith("pixel_values"))
    expected = expected[0] if expected.dim() == 5 else expected
    for source in (processor, json.loads(json.dumps(processor.to_dict(), default=int))):
        stated = read_processor(source).or_else(Preprocessing(frames=len(frames), image=False))
        check_equal(stated.clip_spec(), frames, expected)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (
            {"size": 224, "crop_size": 224, "do_center_crop": True, **KINETICS},
            {"short_side": 224, "size": 224, "crop": "center", "mean": (0.45,) * 3, "std": (0.225,) * 3},
        ),
        ({"size": 224, "do_center_crop": False, **IMAGENET}, {"size": 224, "resize": (224, 224)}),
        (
            {"size": {"height": 256, "width": 256}, "crop_size": 224, **IMAGENET},
            {"resize": (256, 256), "size": 224},
        ),
        ({"size": {"shortest_edge": 256}, **IMAGENET}, {"short_side": 256, "size": 256, "crop": "full"}),
        ({"do_resize": False, "crop_size": [112, 112], **IMAGENET}, {"short_side": 112, "size": 112}),
        ({"size": 32, "rescale_factor": 1 / 127.5, **IMAGENET}, {"range": (-1.0, 1.0)}),
        ({"size": 32, "rescale_factor": 1 / 127.5, "offset": False, **IMAGENET}, {"range": (0.0, 2.0)}),
        ({"size": 32, "num_frames": 12, "fps": 4, **IMAGENET}, {"frames": 12, "fps": 4}),
        ({"size": 32, "fps": 4, "do_sample_frames": False, **IMAGENET}, {"fps": None}),
        ({"image_processor": {"size": 64, **KINETICS}, "tokenizer": {}}, {"size": 64, "mean": (0.45,) * 3}),
        ({"pretrained_cfg": {"input_size": (3, 64, 64), "mean": (0.5,) * 3}}, {"size": 64, "image": True}),
        (
            {"input_size": (3, 224, 224), "mean": (0.5,), "std": (0.25,), "crop_pct": 0.875},
            {"short_side": 256, "size": 224, "crop": "center", "mean": (0.5,), "std": (0.25,)},
        ),
        (
            {"input_size": (1, 96, 96), "mean": (0.5,) * 3, "std": (0.25,) * 3, "crop_mode": "squash"},
            {"resize": (96, 96), "channels": 1},
        ),
    ],
)
def test_fields_of_configurations_are_read(content: dict[str, Any], values: Mapping[str, Any]) -> None:
    stated = read_processor(content)
    assert {name: getattr(stated, name) for name in values} == values


def test_a_mean_of_one_value_is_that_of_every_channel_and_that_of_three_the_mean_for_grey_clips() -> None:
    stated = Preprocessing(frames=4, size=32, mean=(0.5,), std=(0.25,))
    assert (stated.clip_spec().mean, stated.clip_spec().std) == ((0.5,) * 3, (0.25,) * 3)
    grey = Preprocessing(frames=4, size=32, mean=(0.2, 0.3, 0.4), std=(0.1, 0.2, 0.3), channels=1)
    assert (grey.clip_spec().mean, grey.clip_spec().std) == ((0.3,), (0.2,))


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        ({"size": {"longest_edge": 224}, **IMAGENET}, r"resizes frames to .*longest_edge.*give clip="),
        ({"size": {"height": 224, "width": 398}, **IMAGENET}, "takes frames of 224×398 pixels"),
        ({"do_flip_channel_order": True, **IMAGENET}, "swaps the channels to blue, green, red"),
        (17, "processor is int; give a processor of transformers"),
        (object(), "processor is object; give"),
    ],
)
def test_what_a_clip_cannot_be_is_refused(processor: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_processor(processor)


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "preprocessor_config.json"
    for content in ("{", "[1]"):
        file.write_text(content)
        with pytest.raises(InputError, match=r"preprocessor_config\.json is "):
            read_processor(tmp_path)
    file.unlink()
    with pytest.raises(UsageError, match=r"holds none of video_preprocessor_config\.json"):
        read_processor(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_processor(file)


SMALL: dict[str, Any] = {"size": {"shortest_edge": SIDE + 4}, "crop_size": {"height": SIDE, "width": SIDE}}


@pytest.mark.parametrize("family", [videomae, timesformer, vivit])
def test_a_processor_is_used_with_a_network_of_transformers(family: Any) -> None:
    processor = processor_of("VideoMAEImageProcessorPil", **SMALL, **KINETICS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = glocal.as_model(family(), processor=processor)
    clip_spec = model.clip
    assert (clip_spec.frames, clip_spec.short_side, clip_spec.size) == (FRAMES, SIDE + 4, SIDE)
    assert (clip_spec.mean, clip_spec.std, clip_spec.range) == ((0.45,) * 3, (0.225,) * 3, (0.0, 1.0))


def test_the_configuration_of_a_processor_beside_the_network_is_read(tmp_path: Path) -> None:
    from transformers.models.videomae.modeling_videomae import VideoMAEForVideoClassification

    videomae().save_pretrained(tmp_path)
    network = VideoMAEForVideoClassification.from_pretrained(tmp_path)
    content = {**SMALL, "rescale_factor": 1 / 127.5, "offset": True, **KINETICS}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = glocal.as_model(network)
    assert (model.clip.range, model.clip.mean, model.clip.short_side) == ((-1.0, 1.0), (0.45,) * 3, SIDE + 4)


@pytest.mark.parametrize(
    ("family", "mean", "std", "value_range", "assumed"),
    [
        (videomae, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (0.0, 1.0), "published videomae networks"),
        (timesformer, (0.45,) * 3, (0.225,) * 3, (0.0, 1.0), "published timesformer networks"),
        (vivit, (0.5,) * 3, (0.5,) * 3, (-1.0, 1.0), "published vivit networks"),
    ],
)
def test_what_nothing_states_is_assumed_after_the_published_networks_with_a_warning(
    family: Any, mean: Any, std: Any, value_range: Any, assumed: str
) -> None:
    with pytest.warns(UserWarning, match=f"states no normalisation .*{assumed}.*processor="):
        model = glocal.as_model(family())
    assert (model.clip.mean, model.clip.std, model.clip.range) == (mean, std, value_range)


def test_frames_and_stride_of_clip_are_used_with_a_processor() -> None:
    processor = {"size": 24, "crop_size": 24, **KINETICS}
    clip_spec = glocal.ClipSpec(6, stride=3, mean=(0.1,) * 3)
    model = glocal.as_model(seeded(Small3d()), clip_spec, processor=processor)
    assert (model.clip.frames, model.clip.stride, model.clip.size) == (6, 3, 24)
    assert model.clip.mean == (0.45,) * 3


def test_names_of_v_jepa_2_x_clip_and_image_networks_are_known() -> None:
    vjepa = SimpleNamespace(model_type="vjepa2", crop_size=256, frames_per_clip=64, in_chans=3)
    xclip = SimpleNamespace(
        model_type="xclip", vision_config=SimpleNamespace(image_size=224, num_frames=8, num_channels=3)
    )
    swin = SimpleNamespace(model_type="swin", image_size=224, num_channels=1)
    sampled = SimpleNamespace(model_type="other", image_size=[64, 64], num_frames=4, frame_sampling_rate=5)
    with pytest.warns(UserWarning, match="states no normalisation"):
        clips = [find_clip_spec(config, None, None) for config in (vjepa, xclip, swin, sampled)]
    assert [(c.frames, c.short_side, c.size, c.stride, c.channels, c.image) for c in clips] == [
        (64, 292, 256, 1, 3, False),
        (8, 224, 224, 1, 3, False),
        (1, 224, 224, 1, 1, True),
        (4, 64, 64, 5, 3, False),
    ]


class Named:
    """An object with attributes, whose class has a given name."""

    def __new__(cls, name: str, **attributes: Any) -> Any:
        """Make the object."""
        instance = type(name, (SimpleNamespace,), {"__call__": lambda self, x: x})()
        instance.__dict__.update(attributes)
        return instance


def test_presets_of_torchvision_are_read() -> None:
    mean, std = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
    preset = Named("VideoClassification", crop_size=[112], resize_size=[128, 171], mean=mean, std=std)
    clip = read_processor(preset).clip_spec()
    assert (clip.resize, clip.size, clip.crop) == ((128, 171), 112, "center")
    assert (clip.mean, clip.std) == (mean, std)
    with pytest.warns(UserWarning, match="states no number of frames .assumed: 16. and no stride"):
        assert glocal.as_model(seeded(Small3d()), processor=preset).clip.frames == 16
    image = Named("ImageClassification", crop_size=[224], resize_size=[232], mean=mean, std=std)
    assert read_processor(image).clip_spec() == glocal.ClipSpec(
        1, short_side=232, size=224, mean=mean, std=std, crop="center", image=True
    )


def test_transforms_of_pytorchvideo_are_read() -> None:
    def composed(*transforms: Any) -> Any:
        chain = Named("Compose", transforms=list(transforms))
        return Named("ApplyTransformToKey", _key="video", _transform=chain)

    normalize = Named("Normalize", mean=[0.45] * 3, std=[0.225] * 3)
    for scaled in (Named("Div255"), Named("Lambda", lambd=lambda x: x / 255.0)):
        read = read_processor(
            composed(
                Named("UniformTemporalSubsample", _num_samples=8),
                scaled,
                normalize,
                Named("ShortSideScale", _size=256),
                Named("CenterCropVideo", crop_size=(224, 224)),
                Named("PackPathway"),
            )
        )
        clip = read.clip_spec()
        assert (clip.frames, clip.short_side, clip.size, clip.crop) == (8, 256, 224, "center")
        assert (clip.mean, clip.std) == ((0.45,) * 3, (0.225,) * 3)
        assert clip.range == pytest.approx((0, 1))
    shifted = read_processor([Named("Lambda", lambd=lambda x: x / 127.5 - 1), Named("CenterCrop", size=64)])
    assert shifted.clip_spec().range == pytest.approx((-1, 1), abs=1e-6)
    assert shifted.clip_spec().mean == (0.0,) * 3


def test_other_transforms_are_refused() -> None:
    def fail(values: torch.Tensor) -> torch.Tensor:
        raise ValueError("flow only")

    normalize = Named("Normalize", mean=(0.5,) * 3, std=(0.5,) * 3)
    for chain, message in [
        ([normalize, normalize], "normalises twice"),
        ([normalize, Named("Lambda", lambd=fail)], r"what a function of the processor does is unknown"),
        ([normalize, Named("CenterCrop", size=(32, 64))], "not square"),
    ]:
        with pytest.raises(UsageError, match=message):
            read_processor(Named("Compose", transforms=chain))


def test_the_data_configuration_of_timm_is_read_from_the_network() -> None:
    class Image(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            size: Any = (3, 32, 32)
            self.pretrained_cfg = {
                "input_size": size,
                "mean": (0.5,) * 3,
                "std": (0.25,) * 3,
                "crop_pct": 0.9,
            }
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    clip = glocal.as_model(Image()).clip
    assert (clip.image, clip.size, clip.short_side, clip.mean) == (True, 32, 35, (0.5,) * 3)


@pytest.mark.parametrize(
    "name", ["R3D_18_Weights", "MViT_V2_S_Weights", "Swin3D_T_Weights", "S3D_Weights", "ResNet50_Weights"]
)
def test_a_clip_is_prepared_as_the_preset_of_torchvision_does(frames: Pixels, name: str) -> None:
    torchvision = pytest.importorskip("torchvision")
    models = torchvision.models if hasattr(torchvision.models, name) else torchvision.models.video
    preset = getattr(models, name).DEFAULT.transforms()
    expected = preset(torch.from_numpy(frames).permute(0, 3, 1, 2))
    expected = expected if name.startswith("ResNet") else expected.transpose(0, 1)
    stated = read_processor(preset)
    assert stated.image == name.startswith("ResNet")
    check_equal(stated.or_else(Preprocessing(frames=len(frames))).clip_spec(), frames, expected)


def test_a_clip_is_prepared_as_the_transforms_of_pytorchvideo_do(
    frames: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    functional = pytest.importorskip("torchvision.transforms.functional", exc_type=ImportError)
    monkeypatch.setitem(sys.modules, "torchvision.transforms.functional_tensor", functional)  # its old name
    library = pytest.importorskip("pytorchvideo.transforms", exc_type=ImportError)
    from torchvision.transforms import CenterCrop, Compose, Lambda

    for scaled in (library.Div255(), Lambda(lambda x: x / 255.0)):
        chain = [
            library.UniformTemporalSubsample(len(frames)),
            scaled,
            library.Normalize((0.45,) * 3, (0.225,) * 3),
            library.ShortSideScale(182),
            CenterCrop(160),
        ]
        transform = library.ApplyTransformToKey(key="video", transform=Compose(chain))
        clip = torch.from_numpy(frames).permute(3, 0, 1, 2).float()
        expected = transform({"video": clip})["video"].transpose(0, 1)
        check_equal(read_processor(transform).clip_spec(), frames, expected)


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "deit3_small_patch16_224"]
)
def test_a_frame_is_prepared_as_timm_does(frames: Pixels, name: str) -> None:
    timm = pytest.importorskip("timm")
    from PIL import Image

    network = timm.create_model(name)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    expected = transform(Image.fromarray(frames[0]))[None]
    for source in (network.pretrained_cfg, timm.data.resolve_model_data_config(network), transform):
        check_equal(read_processor(source).clip_spec(), frames[:1], expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert glocal.as_model(network).clip == read_processor(network.pretrained_cfg).clip_spec()
