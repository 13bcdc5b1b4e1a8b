"""The version of firstlight: stamped on everything that it writes."""

__version__ = "0.1.0"
