"""What other systems lack is not needed: file locks of POSIX, resource limits, and forked processes."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
del os.fork, os.O_NOFOLLOW, os.O_NONBLOCK, os.O_CLOEXEC

from pathlib import Path
import numpy as np
from torch import nn
import glocal
import glocal.batch.worker, glocal.benchmark, glocal.cli.app, glocal.datasets.puppets, glocal.models.download
from glocal.report import write_report

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, clips):
        return self.head(self.conv(clips).relu().mean((2, 3, 4)))

clip = glocal.ClipSpec(frames=4, short_side=16, size=16)
model = glocal.as_model(Small(), clip, labels=("a", "b"), layers=["conv"])
video = glocal.read_video(np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3), np.uint8))
files = write_report(glocal.explain(model, video), video, Path(sys.argv[1]), "clip")
print(sorted(path.name for path in files))
"""


def test_a_report_is_written_without_locks_limits_and_forks(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "['clip.html', 'clip.json', 'clip.mp4', 'clip.npz']"
    assert len(list((tmp_path / "out").iterdir())) == 4, "no temporary file is left"
