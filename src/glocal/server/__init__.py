"""The web page: a clip is uploaded, explained in a process of its own, and its report stays at its address."""
