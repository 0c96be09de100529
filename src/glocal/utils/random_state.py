"""Fix PyTorch's random numbers for a while."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

_lock = threading.RLock()


@contextmanager
def fixed_seed(seed: int, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Seed PyTorch's random numbers, and restore the global state afterwards.

    The state belongs to the whole process, so one thread at a time is inside. A caller that also needs the
    lock of a network (`glocal.attribution.exclusive`) takes that one first.

    Args:
        seed: of the CPU and of the devices.
        devices: those whose random numbers are used, beside the CPU; all but CUDA devices are left out.
    """
    cuda_devices = [device for device in devices if device.type == "cuda"]
    with _lock, torch.random.fork_rng(devices=cuda_devices):
        torch.default_generator.manual_seed(seed)
        for device in cuda_devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
