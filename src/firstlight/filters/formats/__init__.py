"""Filters out of files: a package for each format, and what tells them apart."""
