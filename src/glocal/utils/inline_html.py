"""Data, styles and scripts inside an HTML page that loads nothing from elsewhere."""

import base64
import hashlib
import json
from typing import Any


def json_for_script(data: Any) -> str:
    """Return JSON that is safe inside a script element, also if its texts contain tags."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def policy_hash(text: str) -> str:
    """Return the source expression by which a Content Security Policy allows a style or script."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
