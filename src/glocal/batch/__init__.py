"""Many videos on many processes, with Ray: one that is broken costs itself alone."""
