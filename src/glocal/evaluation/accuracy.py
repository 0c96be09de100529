"""How often the class is right: clip by clip, and video by video."""

from collections.abc import Iterable

import torch
from torch import Tensor

State = tuple[Tensor, Tensor, Tensor, Tensor]
TOP = 5


class Accuracy:
    """Top-1 and top-5 accuracy of clips and of videos, cross-entropy, and the confusion matrix.

    A video's scores are the mean of its clips' probabilities. A clip that is given twice, as to fill up the
    batches of several processes, counts once.
    """

    def __init__(self, classes: int):
        self.classes = classes
        self.reset()

    def reset(self) -> None:
        """Forget all clips."""
        self._parts: list[State] = []

    def update(self, logits: Tensor, labels: Tensor, clips: Tensor, videos: Tensor) -> None:
        """Add clips: logits `(B, classes)`; labels, and the numbers of clips and of their videos, `(B,)`."""
        part = (logits.detach().float().log_softmax(1), labels, clips, videos)
        self._parts.append(tuple(tensor.cpu() for tensor in part))  # type: ignore[arg-type]

    @property
    def state(self) -> State:
        """All clips so far, to be merged into another measure; in the order of their numbers, each once."""
        if not self._parts:
            none = torch.zeros(0, dtype=torch.long)
            return torch.zeros(0, self.classes), none, none, none
        scores, labels, clips, videos = (torch.cat(tensors) for tensors in zip(*self._parts, strict=True))
        order = clips.argsort(stable=True)
        first = torch.ones(len(order), dtype=torch.bool)
        first[1:] = clips[order][1:] != clips[order][:-1]
        order = order[first]
        return scores[order], labels[order], clips[order], videos[order]

    def merge(self, states: Iterable[State]) -> None:
        """Take over the clips of other measures, as of the other processes."""
        self._parts.extend(states)

    def compute(self) -> dict[str, float]:
        """`loss`, `clip_top1`, `video_top1`, and with more than five classes `clip_top5`, `video_top5`."""
        scores, labels, _, _ = self.state
        measures = {"loss": float(-scores.gather(1, labels[:, None]).mean())}
        for name, (probabilities, truth) in {"clip": (scores.exp(), labels), "video": self._videos()}.items():
            for top in (1, TOP) if self.classes > TOP else (1,):
                best = probabilities.topk(top, 1).indices
                measures[f"{name}_top{top}"] = float((best == truth[:, None]).any(1).double().mean())
        return measures

    def confusion(self) -> Tensor:
        """`(classes, classes)` numbers of videos: rows are the truth, columns the best class."""
        scores, labels = self._videos()
        cells = labels * self.classes + scores.argmax(1)
        return cells.bincount(minlength=self.classes**2).view(self.classes, self.classes)

    def _videos(self) -> tuple[Tensor, Tensor]:
        """Mean probabilities `(videos, classes)` and labels `(videos,)`."""
        scores, labels, _, videos = self.state
        _, index, counts = torch.unique(videos, return_inverse=True, return_counts=True)
        sums = torch.zeros(len(counts), self.classes).index_add_(0, index, scores.exp())
        truth = torch.zeros(len(counts), dtype=torch.long).index_copy_(0, index, labels)
        return sums / counts[:, None], truth
