"""Volumes: exact enough, and constant in memory."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from glocal.errors import InputError
from glocal.explanation.volume import IN_MEMORY, Volume


@pytest.mark.parametrize(("levels", "error"), [(65535, 1e-5), (255, 0.002)])
def test_maps_come_back(levels: int, error: float) -> None:
    rng = np.random.default_rng(0)
    maps = [rng.random((7, 9), np.float32) * scale for scale in (1, 1e-6, 0, 50)]
    volume = Volume(levels)
    for m in maps:
        volume.append(m)
    assert len(volume) == 4
    for m, got in zip(maps, volume, strict=True):
        assert np.abs(got - m).max() <= error * max(m.max(), 1e-30)
    assert np.array_equal(volume[-1], volume[3])
    with pytest.raises(IndexError):
        volume[4]


def test_normalise_divides_by_the_maximum_of_all() -> None:
    volume = Volume()
    for scale in (0.5, 4.0):
        volume.append(np.full((2, 2), scale, np.float32))
    volume.normalise()
    assert volume.peak == pytest.approx(1)
    assert volume[0].max() == pytest.approx(0.125, abs=1e-5)
    assert volume.relevance == pytest.approx([0.125, 1])


def test_zero_stays_zero() -> None:
    volume = Volume()
    volume.append(np.zeros((2, 2), np.float32))
    volume.normalise()
    assert volume[0].max() == volume.relevance[0] == 0


def test_a_long_volume_goes_to_disk() -> None:
    volume = Volume()
    noise = np.random.default_rng(0).random((128, 128), np.float32)
    while volume._offsets[-1] <= IN_MEMORY:
        volume.append(noise)
    assert volume._file._rolled
    volume.append(np.zeros((2, 2), np.float32))
    volume.append(noise)
    assert np.abs(volume[-2]).max() == 0
    for index in (0, len(volume) - 4, len(volume) - 3, len(volume) - 1):
        assert np.abs(volume[index] - noise).max() < 1e-4


def test_a_full_disk_is_one_sentence() -> None:
    volume = Volume()

    def full(data: bytes) -> None:
        raise OSError(28, "No space left on device")

    volume._file.write = full
    with pytest.raises(InputError, match=r"No space left.*TMPDIR"):
        volume.append(np.ones((2, 2), np.float32))


def test_maps_that_come_together_are_stored_as_those_that_come_one_by_one() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((200, 128, 128), np.float32) * rng.random((200, 1, 1), np.float32)
    maps[3] = 0
    together, alone = Volume(), Volume()
    for start, stop in ((0, 1), (1, 140), (140, 200)):  # the 256th of 32 KiB is the first on the disk
        together.extend(maps[start:stop])
    together.extend(maps[:90])
    for one in (*maps, *maps[:90]):
        alone.append(one)
    assert together._first_compressed == alone._first_compressed == 256
    assert together.peaks == alone.peaks
    assert together.means == pytest.approx(alone.means)
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))


def test_maps_on_the_grid_are_those_of_the_frames_many_at_once() -> None:
    volume = Volume()
    volume.extend(np.random.default_rng(0).random((300, 128, 128), np.float32))
    stacks = list(volume.on_grid())
    assert 1 < len(stacks) < 300
    assert np.array_equal(np.concatenate(stacks), np.stack(list(volume)))


def test_threads_read_a_volume_at_the_same_time_and_compute_a_result_once() -> None:
    maps = np.random.default_rng(0).random((300, 128, 128), np.float32)
    volume = Volume()
    volume.extend(maps)
    expected = [volume[index] for index in range(len(maps))]
    computed: list[int] = []

    def read(seed: int) -> bool:
        indices = np.random.default_rng(seed).permutation(len(maps))[:60].tolist()
        assert volume.result("count", lambda: computed.append(seed) or len(volume)) == len(maps)
        return all(np.array_equal(volume[index], expected[index]) for index in indices)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(8)))
    assert len(computed) == 1
    volume.normalise()
    assert "count" not in volume.results


def test_the_file_of_a_volume_is_closed_with_it() -> None:
    volume = Volume()
    volume.append(np.ones((2, 2), np.float32))
    file = volume._file
    del volume
    gc.collect()
    assert file.closed
