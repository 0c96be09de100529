"""The public names of `glocal.report`; `__init__.py` imports them on first use."""

from glocal.report.drawing import VideoBoxes as VideoBoxes
from glocal.report.drawing import overlay as overlay
from glocal.report.drawing import overlay_frames as overlay_frames
from glocal.report.drawing import write_overlay as write_overlay
from glocal.report.page import page_html as page_html
from glocal.report.page import write_page as write_page
from glocal.report.page_data import TimeSpan as TimeSpan
from glocal.report.report import write_report as write_report
from glocal.report.style import COLORMAPS as COLORMAPS
from glocal.report.style import OverlayStyle as OverlayStyle
