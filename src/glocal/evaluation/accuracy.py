"""Classification accuracy, by clip and by video."""

from collections.abc import Iterable

import torch
from torch import Tensor

ClipScores = tuple[Tensor, Tensor, Tensor, Tensor]
"""Log-probabilities `(N, num_classes)`; labels, clip numbers and video numbers, `(N,)` each."""

TOP = 5


class Accuracy:
    """Top-1 and top-5 accuracy of clips and of videos, cross-entropy, and the confusion matrix.

    A video's scores are the mean of its clips' probabilities. A clip that is added twice, as samplers do to
    fill up the batches of several processes, counts once. Accuracies are in [0, 1], higher is better; the
    loss is at least 0, lower is better.

    Args:
        num_classes: how many classes the network has.
    """

    def __init__(self, num_classes: int):
        self.num_classes = num_classes
        self.reset()

    def reset(self) -> None:
        """Forget all clips."""
        self._batches: list[ClipScores] = []

    def update(self, logits: Tensor, labels: Tensor, clips: Tensor, videos: Tensor) -> None:
        """Add a batch of clips.

        Args:
            logits: `(B, num_classes)`.
            labels: `(B,)` class indices.
            clips: `(B,)` numbers that tell clips apart.
            videos: `(B,)` numbers of the videos that the clips are from.
        """
        batch = (logits.detach().float().log_softmax(1), labels, clips, videos)
        self._batches.append(tuple(tensor.cpu() for tensor in batch))  # type: ignore[arg-type]

    @property
    def state(self) -> ClipScores:
        """Scores of all clips so far, in the order of their numbers, each clip once."""
        if not self._batches:
            empty = torch.zeros(0, dtype=torch.long)
            return torch.zeros(0, self.num_classes), empty, empty, empty
        scores, labels, clips, videos = (torch.cat(tensors) for tensors in zip(*self._batches, strict=True))
        order = clips.argsort(stable=True)
        first = torch.ones(len(order), dtype=torch.bool)
        first[1:] = clips[order][1:] != clips[order][:-1]
        order = order[first]
        return scores[order], labels[order], clips[order], videos[order]

    def merge(self, states: Iterable[ClipScores]) -> None:
        """Add the clips of other measures, such as those of other processes."""
        self._batches.extend(states)

    def compute(self) -> dict[str, float]:
        """`loss`, `clip_top1`, `video_top1`, and with more than five classes `clip_top5`, `video_top5`."""
        scores, labels, _, _ = self.state
        measures = {"loss": float(-scores.gather(1, labels[:, None]).mean())}
        levels = {"clip": (scores.exp(), labels), "video": self.video_scores()[1:]}
        for level, (probabilities, truth) in levels.items():
            for top in (1, TOP) if self.num_classes > TOP else (1,):
                best = probabilities.topk(top, 1).indices
                measures[f"{level}_top{top}"] = float((best == truth[:, None]).any(1).double().mean())
        return measures

    def confusion(self) -> Tensor:
        """`(num_classes, num_classes)` numbers of videos: rows are the truth, columns the best class."""
        _, scores, labels = self.video_scores()
        cells = labels * self.num_classes + scores.argmax(1)
        return cells.bincount(minlength=self.num_classes**2).view(self.num_classes, self.num_classes)

    def video_scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers of the videos `(V,)`, their mean probabilities `(V, num_classes)` and labels `(V,)`."""
        scores, labels, _, videos = self.state
        numbers, index, counts = torch.unique(videos, return_inverse=True, return_counts=True)
        sums = torch.zeros(len(counts), self.num_classes).index_add_(0, index, scores.exp())
        truth = torch.zeros(len(counts), dtype=torch.long).index_copy_(0, index, labels)
        return numbers, sums / counts[:, None], truth
