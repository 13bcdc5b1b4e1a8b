"""Shards: the parts of a data set that tasks read, wherever they run."""
