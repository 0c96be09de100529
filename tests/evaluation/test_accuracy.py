"""Accuracy over clips and videos, in parts and over processes."""

import pytest
import torch

from glocal.evaluation import Accuracy


def example(clips: int = 40, classes: int = 7) -> tuple[torch.Tensor, ...]:
    rng = torch.Generator().manual_seed(0)
    videos = torch.arange(clips) // 3
    labels = torch.randint(0, classes, (int(videos.max()) + 1,), generator=rng)[videos]
    return torch.randn(clips, classes, generator=rng), labels, torch.arange(clips), videos


def test_measures_are_those_of_their_definitions() -> None:
    logits, labels, clips, videos = example()
    accuracy = Accuracy(7)
    accuracy.update(logits, labels, clips, videos)
    measures = accuracy.compute()
    assert measures["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)))
    assert measures["clip_top1"] == pytest.approx(float((logits.argmax(1) == labels).double().mean()))
    top5 = [int(label) in logits[i].topk(5).indices.tolist() for i, label in enumerate(labels)]
    assert measures["clip_top5"] == pytest.approx(sum(top5) / 40)
    right = top5 = 0
    confusion = torch.zeros(7, 7, dtype=torch.long)
    for video in range(14):
        mean = logits.softmax(1)[videos == video].mean(0)
        label = int(labels[videos == video][0])
        right += int(mean.argmax()) == label
        top5 += label in mean.topk(5).indices.tolist()
        confusion[label, mean.argmax()] += 1
    assert measures["video_top1"] == pytest.approx(right / 14)
    assert measures["video_top5"] == pytest.approx(top5 / 14)
    assert torch.equal(accuracy.confusion(), confusion)


def test_parts_in_any_order_merged_and_with_doubles_give_the_same() -> None:
    parts = example()
    whole = Accuracy(7)
    whole.update(*parts)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    one, other = Accuracy(7), Accuracy(7)
    for batch in order[:25].split(8):
        one.update(*(part[batch] for part in parts))
    for batch in torch.cat([order[25:], order[:4]]).split(8):
        other.update(*(part[batch] for part in parts))
    merged = Accuracy(7)
    merged.merge([one.state, other.state, Accuracy(7).state])
    assert merged.compute() == whole.compute()
    assert torch.equal(merged.confusion(), whole.confusion())
    merged.reset()
    assert len(merged.state[0]) == 0


def test_five_classes_have_no_top5() -> None:
    logits, labels, clips, videos = example(classes=5)
    accuracy = Accuracy(5)
    accuracy.update(logits, labels, clips, videos)
    assert list(accuracy.compute()) == ["loss", "clip_top1", "video_top1"]
