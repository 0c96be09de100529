"""Explain many videos in several processes, with Ray: a broken video is reported and skipped."""
