"""The aggregate `auto`, on maps whose truth was planted."""

import numpy as np
import pytest
import torch

import glocal
from glocal.attribution.aggregation import AGGREGATES, aggregate, weigh_by_agreement


def test_the_map_of_a_single_layer_stays_as_it_is() -> None:
    single = torch.rand(2, 4, 12, 12)
    for name in AGGREGATES:
        assert torch.equal(aggregate([single], name), single)


def blob(y: int, x: int, spread: float = 3.0, size: tuple[int, int, int] = (8, 32, 32)) -> torch.Tensor:
    rows, columns = torch.arange(size[1])[:, None], torch.arange(size[2])
    return torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * spread**2)).expand(size).clone()


def planted(seed: int = 0) -> list[torch.Tensor]:
    """Three layers that see one place, noisily and on scales of their own, and one that looks elsewhere."""
    noise = torch.Generator().manual_seed(seed)
    maps = [blob(10, 20, s) + 0.5 * torch.rand(8, 32, 32, generator=noise) for s in (2.0, 3.0, 5.0)]
    return [m[None] for m in (*maps, 3 * blob(25, 5, 4.0))]


def where(attention: torch.Tensor) -> tuple[int, int]:
    index = int(attention.mean(0).argmax())
    return divmod(index, attention.shape[-1])


def test_the_layers_that_agree_decide() -> None:
    maps = planted()
    (found,) = aggregate(maps, "auto")
    row, column = where(found)
    assert abs(row - 10) <= 2
    assert abs(column - 20) <= 2
    assert where(aggregate(maps, "sum")[0])[0] > 20
    assert found[:, 22:28, 2:8].mean() < 0.35 * found[:, 8:13, 18:23].mean()


def test_the_scale_of_a_layer_does_not_matter() -> None:
    maps = planted()
    scaled = [factor * m for factor, m in zip((1, 100, 1e-6, 5), maps, strict=True)]
    torch.testing.assert_close(aggregate(scaled, "auto"), aggregate(maps, "auto"), rtol=1e-4, atol=1e-6)


def test_samples_do_not_mix() -> None:
    one, other = planted(0), [m.flip(-1) for m in planted(1)]
    both = [torch.cat(pair) for pair in zip(one, other, strict=True)]
    torch.testing.assert_close(aggregate(both, "auto")[:1], aggregate(one, "auto"))
    torch.testing.assert_close(aggregate(both, "auto")[1:], aggregate(other, "auto"))


def test_a_layer_without_evidence_is_left_out() -> None:
    maps = planted()[:3]
    torch.testing.assert_close(aggregate([*maps, torch.zeros_like(maps[0])], "auto"), aggregate(maps, "auto"))


@pytest.mark.parametrize("layers", [1, 2])
def test_layers_that_cannot_agree_count_the_same(layers: int) -> None:
    maps = [blob(8, 8)[None], blob(24, 24)[None]][:layers]
    (found,) = aggregate(maps, "auto")
    assert found.isfinite().all()
    assert found[:, 8, 8].mean() == pytest.approx(float(found.max()), rel=0.05)
    if layers == 2:
        assert found[:, 24, 24].mean() == pytest.approx(float(found[:, 8, 8].mean()), rel=0.05)


def test_every_frame_gets_its_share() -> None:
    """The place of each frame is smoothed over time; how much each frame counts is not."""
    course = torch.tensor([0.0, 0, 1, 3, 1, 0, 0, 0])
    maps = [factor * blob(10, 20, 3.0)[None] * course[:, None, None] for factor in (1, 50)]
    (found,) = aggregate(maps, "auto")
    shares = found.mean((1, 2)) / found.mean()
    torch.testing.assert_close(shares, course / course.mean())


def test_nothing_gives_nothing() -> None:
    assert not aggregate([torch.zeros(2, 4, 8, 8)] * 3, "auto").any()


def test_constant_maps_stay_constant() -> None:
    found = aggregate([torch.ones(1, 4, 8, 8)] * 2, "auto")
    torch.testing.assert_close(found, torch.ones(1, 4, 8, 8))


def test_images_have_no_time() -> None:
    maps = torch.stack([m[:, 0] for m in planted()])
    assert maps.shape == (4, 1, 32, 32)
    row, column = divmod(int(weigh_by_agreement(maps)[0].argmax()), 32)
    assert abs(row - 10) <= 2
    assert abs(column - 20) <= 2


def test_attribute_takes_it() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv3d(3, 4, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv3d(4, 4, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool3d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 5),
    )
    found = glocal.attribute(network, torch.randn(2, 3, 4, 16, 16), ["1", "3"], aggregate="auto")
    assert found.attention.shape == (2, 4, 16, 16)
    assert np.isclose(float(found.attention.max()), 1)
