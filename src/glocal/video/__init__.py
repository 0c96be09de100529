"""Videos in and out: decoding, windows of clips, the geometry between frame and network, encoding."""

from glocal.video.clipform import ClipForm
from glocal.video.encode import write_video
from glocal.video.geometry import Geometry
from glocal.video.source import read_video
from glocal.video.video import Video
from glocal.video.windows import Window, windows

__all__ = ["ClipForm", "Geometry", "Video", "Window", "read_video", "windows", "write_video"]
