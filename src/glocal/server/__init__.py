"""The web page: clips are uploaded and explained, each in a process of its own."""
