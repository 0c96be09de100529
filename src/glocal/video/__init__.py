"""Videos: decoding, windows of clips, geometry between frame and network, encoding."""

from glocal.video.clip_spec import ClipSpec
from glocal.video.encoding import write_video
from glocal.video.geometry import Geometry
from glocal.video.reading import read_video
from glocal.video.video import Video
from glocal.video.windows import Window, windows

__all__ = ["ClipSpec", "Geometry", "Video", "Window", "read_video", "windows", "write_video"]
