"""What a network asks of its input, said in one sentence where it does not get it."""

from torch import Tensor

from glocal.errors import InputError


def check_input(x: Tensor, channels: int, dims: int = 3, frames: int = 1, pixels: int = 1) -> None:
    """Refuse what is no batch of clips `(B, C, T, H, W)`, or of images `(B, C, H, W)` with `dims=2`.

    Args:
        channels: that the network takes.
        frames, pixels: the shortest clip and the smallest side that the network takes.

    Raises:
        InputError: `x` has another shape, or is too short or too small.
    """
    least = (frames, pixels, pixels)[-dims:]
    if (
        x.ndim == dims + 2
        and x.shape[1] == channels
        and all(size >= minimum for size, minimum in zip(x.shape[2:], least, strict=True))
    ):
        return
    wanted = f"images (B, {channels}, H, W) of at least"
    if dims == 3:
        wanted = f"clips (B, {channels}, T, H, W) of at least {frames} frame{'s' if frames > 1 else ''} and"
    raise InputError(
        f"the network takes {wanted} {pixels}×{pixels} pixels, not a tensor of {tuple(x.shape)}."
    )
