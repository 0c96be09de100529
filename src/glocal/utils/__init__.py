"""Files, text tables, optional imports and structure checks, which know nothing of video or networks."""
