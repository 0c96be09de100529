"""Extremal perturbation against the papers' formulas on small cases, and on a planted square."""

import math

import pytest
import torch
from torch import nn

import glocal
from glocal.attribution.methods.extremal import (
    SmoothMask,
    Smoothness,
    area_loss,
    blur_pyramid,
    perturbed,
)
from glocal.errors import UsageError

GENERATOR = torch.Generator().manual_seed(0)


def test_the_smooth_mask_by_plain_loops() -> None:
    make = SmoothMask((6, 8), 3, torch.device("cpu"))
    values = torch.rand(1, 1, 3, 4, generator=GENERATOR)
    found = make(values)[0, 0]
    for y in range(6):
        for x in range(8):
            reached = []
            for i in range(y // 2 - 3, y // 2 + 4):
                for j in range(x // 2 - 3, x // 2 + 4):
                    distance = math.hypot(y + 0.5 - 2 * (i + 0.5), x + 0.5 - 2 * (j + 0.5))
                    weight = math.exp(-2 * max(distance / (22 / 7) - 0.5, 0) ** 2)
                    inside = 0 <= i < 3 and 0 <= j < 4
                    reached.append(weight * float(values[0, 0, i, j]) if inside else 0.0)
            total = sum(math.exp(20 * value) for value in reached)
            expected = sum(value * math.exp(20 * value) for value in reached) / total
            assert float(found[y, x]) == pytest.approx(expected, abs=1e-5)


def test_the_area_loss_by_hand() -> None:
    mask = torch.tensor([0.9, 0.0, 0.2, 0.6]).view(1, 1, 2, 2)
    assert float(area_loss(mask, 0.5, GENERATOR)) == pytest.approx((0.0 + 0.2**2 + 0.4**2 + 0.1**2) / 4)
    assert float(area_loss(torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2), 0.25, GENERATOR)) == 0


def test_smoothness_prefers_one_ellipsoid_to_the_same_volume_in_noise() -> None:
    smoothness = Smoothness.of((5, 24, 24), 0.01, 3)
    assert smoothness.kernel.shape == (1, 1, 3, 2, 2)
    assert smoothness.count == math.ceil(0.01 * 5 * 24 * 24 / 12)
    ellipsoid = Smoothness.of((16, 112, 112), 0.1, 5).kernel
    assert ellipsoid.shape == (1, 1, 5, 11, 11)
    assert float(ellipsoid[0, 0, :, 5, 5].min()) == float(ellipsoid[0, 0, 2, 0, 5]) == 1
    assert float(ellipsoid[0, 0, 0].sum()) == 1
    smoothness = Smoothness(torch.ones(1, 1, 2, 4, 4), 1)
    whole = torch.zeros(1, 5, 24, 24)
    whole[:, 1:3, 4:8, 8:12] = 1
    scattered = whole.flatten()[torch.randperm(whole.numel(), generator=GENERATOR)].view_as(whole)
    means = [
        whole[0, t : t + 2, y : y + 4, x : x + 4].mean()
        for t in range(4)
        for y in range(0, 24, 4)
        for x in range(0, 24, 4)
    ]
    high, *low = sorted(map(float, means), reverse=True)
    expected = (high - 1) ** 2 + sum(value**2 for value in low) / len(low)
    assert float(smoothness.loss(whole, GENERATOR)) == pytest.approx(expected)
    assert float(smoothness.loss(scattered, GENERATOR)) > 5 * expected


def test_a_pixel_is_taken_from_the_level_of_blur_that_its_mask_says() -> None:
    video = torch.rand(1, 3, 2, 8, 8, generator=GENERATOR)
    pyramid = blur_pyramid(video)
    assert torch.equal(pyramid[-1], video)
    assert float(pyramid[0].std()) < 0.5 * float(video.std())
    for value, expected in (
        (1.0, video),
        (0.0, pyramid[0]),
        (2.25 / 7, 0.75 * pyramid[2] + 0.25 * pyramid[3]),
    ):
        assert torch.allclose(perturbed(pyramid, torch.full((1, 2, 8, 8), value)), expected, atol=1e-6)


class Corner(nn.Module):
    """Class 1 is how much detail there is in a place of the middle frames."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        detail = x[:, :, 2:4, 4:12, 12:20].diff(dim=-1).abs().mean((1, 2, 3, 4))
        return torch.stack([torch.zeros_like(detail), 40 * detail - 10], 1)


@pytest.mark.parametrize("image", [False, True])
def test_the_mask_of_the_area_asked_for_lies_on_what_decides(image: bool) -> None:
    class Frame(Corner):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x[:, :, None].expand(-1, -1, 6, -1, -1))

    clips = torch.rand(1, 3, 6, 24, 24, generator=torch.Generator().manual_seed(1))
    network, clips = (Frame(), clips[:, :, 0]) if image else (Corner(), clips)
    options = {"areas": (0.15,), "steps": 30, "cells": 6}
    found = glocal.attribute(network, clips, method="extremal-perturbation", target=1, options=options).raw
    mask = found[0] if not image else found[0, None].expand(6, -1, -1)
    assert float(mask[2:4, 6:10, 14:18].mean()) > 2 * float(mask.mean())
    assert found.shape == (1, *clips.shape[2:])
    against = glocal.attribute(
        network, clips, method="extremal-perturbation", target=1, options=options, counterfactual=True
    ).raw[0]
    other = against if not image else against[None].expand(6, -1, -1)
    assert float(other[2:4, 6:10, 14:18].mean()) < 0.5 * float(mask[2:4, 6:10, 14:18].mean())


def test_a_share_of_one_is_refused() -> None:
    with pytest.raises(UsageError, match=r"areas.*below 1"):
        glocal.attribute(
            Corner(), torch.rand(1, 3, 6, 24, 24), method="extremal-perturbation", options={"areas": (1.0,)}
        )


def test_a_network_with_softmax_keeps_the_same_part() -> None:
    network = nn.Sequential(nn.Conv3d(3, 2, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 3))
    clip = torch.rand(1, 3, 2, 8, 8, generator=GENERATOR)

    def kept(network: nn.Module) -> torch.Tensor:
        options = {"steps": 6, "cells": 4}
        return glocal.attribute(
            network, clip, method="extremal-perturbation", options=options, target=1
        ).attention

    expected = kept(network)
    assert expected.std() > 0
    torch.testing.assert_close(kept(nn.Sequential(network, nn.Softmax(1))), expected, atol=1e-4, rtol=1e-3)
