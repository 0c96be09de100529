"""The web server: clips are uploaded and explained, each in a separate process."""
