"""The public names of `glocal.explanation`; `__init__.py` imports them on first use."""

from glocal.explanation.config import ExplainConfig as ExplainConfig
from glocal.explanation.edit import Edit as Edit
from glocal.explanation.explanation import Explanation as Explanation
from glocal.explanation.parts import ExplainedClass as ExplainedClass
from glocal.explanation.parts import Prediction as Prediction
from glocal.explanation.parts import VideoFacts as VideoFacts
from glocal.explanation.runner import classify as classify
from glocal.explanation.runner import explain as explain
from glocal.explanation.volume import Volume as Volume
from glocal.explanation.volume_file import load_attention as load_attention
