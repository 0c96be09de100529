"""ROAD: imputation solves the paper's linear system, and scores tell good attributions from bad ones."""

import sys
from itertools import product

import pytest
import torch
from scipy.sparse.linalg import splu
from torch import Tensor, nn

from glocal.errors import UsageError
from glocal.evaluation.faithfulness import impute, road

road_module = sys.modules["glocal.evaluation.faithfulness.road"]


def solved_directly(image: Tensor, removed: Tensor) -> Tensor:
    """`Σ w (x_n - x_i) = 0` over the neighbours inside the image, of every removed pixel, as one dense system."""
    height, width = image.shape
    places = [(y, x) for y in range(height) for x in range(width) if removed[y, x]]
    matrix, right = (
        torch.zeros(len(places), len(places), dtype=torch.float64),
        torch.zeros(len(places)).double(),
    )
    for row, (y, x) in enumerate(places):
        for dy, dx in product((-1, 0, 1), repeat=2):
            other = (y + dy, x + dx)
            if (dy, dx) == (0, 0) or not (0 <= other[0] < height and 0 <= other[1] < width):
                continue
            weight = 1 / 6 if 0 in (dy, dx) else 1 / 12
            matrix[row, row] += weight
            if removed[other]:
                matrix[row, places.index(other)] -= weight
            else:
                right[row] += weight * image[other]
    result = image.clone()
    for place, value in zip(places, torch.linalg.solve(matrix, right), strict=True):
        result[place] = value
    return result


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_imputed_pixels_are_the_solution_of_the_papers_system(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 9, 11, generator=generator, dtype=torch.float64)
    removed = torch.rand(2, 1, 9, 11, generator=generator) < share
    imputed = impute(images, removed, noise=0)
    for sample, channel in product(range(2), range(3)):
        expected = solved_directly(images[sample, channel], removed[sample, 0])
        assert torch.allclose(imputed[sample, channel], expected, atol=1e-9)


def test_each_frame_of_a_clip_is_imputed_like_an_image() -> None:
    generator = torch.Generator().manual_seed(1)
    clip = torch.randn(1, 3, 4, 8, 8, generator=generator)
    removed = torch.rand(1, 1, 1, 8, 8, generator=generator) < 0.5
    imputed = impute(clip, removed, noise=0)
    for frame in range(4):
        alone = impute(clip[:, :, frame], removed[:, :, 0], noise=0)
        assert torch.allclose(imputed[:, :, frame], alone, atol=1e-6)


def test_whole_frames_are_interpolated_between_those_around_them() -> None:
    clip = torch.arange(6.0).view(1, 1, 6, 1, 1).expand(1, 1, 6, 4, 4).clone()
    clip[:, :, 2:4] = 99
    removed = torch.tensor([False, False, True, True, False, True]).view(1, 1, 6, 1, 1)
    imputed = impute(clip, removed, noise=0)
    assert torch.allclose(imputed[0, 0, :, 0, 0], torch.tensor([0.0, 1, 2, 3, 4, 4]), atol=1e-6)


def test_a_frame_of_which_nothing_is_known_is_0() -> None:
    clip = torch.ones(1, 3, 2, 8, 8)
    removed = torch.zeros(1, 1, 2, 8, 8, dtype=torch.bool)
    removed[:, :, 1] = True
    imputed = impute(clip, removed, noise=0)
    assert imputed[:, :, 0].eq(1).all()
    assert imputed[:, :, 1].eq(0).all()


def test_a_mask_of_all_frames_is_solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    solved = []
    monkeypatch.setattr(
        road_module, "splu", lambda *args, **options: solved.append(1) or splu(*args, **options)
    )
    impute(torch.rand(1, 3, 16, 8, 8), torch.rand(1, 1, 1, 8, 8) < 0.5)
    assert len(solved) == 1


def test_noise_is_added_to_imputed_pixels_only_and_is_always_the_same() -> None:
    images = torch.zeros(1, 3, 16, 16)
    removed = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    removed[..., 8:] = True
    first, second = impute(images, removed, noise=0.1), impute(images, removed, noise=0.1)
    assert torch.equal(first, second)
    assert first[..., :8].eq(0).all()
    assert first[..., 8:].std() == pytest.approx(0.1, rel=0.2)


class LeftHalf(nn.Module):
    """Two classes; the first is the brightness of the left half, less that of the right."""

    def forward(self, images: Tensor) -> Tensor:
        left, right = images.chunk(2, dim=-1)
        value = left.flatten(1).std(1) - right.flatten(1).std(1)
        return torch.stack([5 * value, -5 * value], 1)


@pytest.mark.parametrize("frames", [None, 3])
def test_the_true_reason_scores_higher_than_the_wrong_one(frames: int | None) -> None:
    shape = (1, 3, 16, 16) if frames is None else (1, 3, frames, 16, 16)
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    right = torch.zeros(1, *shape[2:])
    right[..., :8] = 1
    scores = [road(LeftHalf(), clips, maps, torch.tensor([0])) for maps in (right, 1 - right)]
    assert scores[0].combined.item() > 0.1
    assert scores[1].combined.item() == pytest.approx(-scores[0].combined.item(), abs=0.05)
    assert scores[0].most_first.shape == scores[0].least_first.shape == (1, 4)


def test_a_share_of_everything_is_refused() -> None:
    with pytest.raises(UsageError, match=r"shares are 0\.5, 1; use some in \(0, 1\)"):
        road(LeftHalf(), torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4), torch.tensor([0]), shares=(0.5, 1.0))
