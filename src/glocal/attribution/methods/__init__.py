"""The attribution methods, one family a file; each registers itself in `METHODS`."""
