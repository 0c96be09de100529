"""Regions of attribution maps in space and time: connected regions, boxes, tubes and segments."""
