"""Patch statistics of data sets of any size: shards, states that survive a kill, and what it will take."""
