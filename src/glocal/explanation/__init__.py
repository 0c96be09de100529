"""Explain a whole video: windows, attribution, blending, and the `Explanation` they give."""
