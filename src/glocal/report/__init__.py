"""Reports of an `Explanation`: overlay videos, HTML pages and figures."""

from glocal.report.overlay import COLORMAPS, OverlayStyle, VideoBoxes, overlay, overlay_frames, write_overlay
from glocal.report.page import page_html, write_page
from glocal.report.page_data import TimeSpan
from glocal.report.report import write_report

__all__ = [
    "COLORMAPS",
    "OverlayStyle",
    "TimeSpan",
    "VideoBoxes",
    "overlay",
    "overlay_frames",
    "page_html",
    "write_overlay",
    "write_page",
    "write_report",
]
