"""A plug-in package, which the tests install."""
