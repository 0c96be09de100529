"""Clips of 16 × 112 × 112 per second of the puppet renderer, on one core."""

import time

import cv2

from glocal.datasets.puppets import DISTRACTORS, Puppets

CLIPS = 200


def run() -> dict[str, float]:
    """Clips a second of processor time, for each kind of distractor; one thread, so one core."""
    cv2.setNumThreads(1)
    rates = {}
    print(f"\n{'distractor':12}{'clips/s':>8}")
    for distractor in DISTRACTORS:
        clips = Puppets("train", CLIPS + 1, distractor=distractor)
        clips[CLIPS]  # renders the textures
        start = time.process_time()
        for index in range(CLIPS):
            clips[index]
        rates[distractor] = CLIPS / (time.process_time() - start)
        print(f"{distractor:12}{rates[distractor]:8.1f}")
    return rates


if __name__ == "__main__":
    run()
