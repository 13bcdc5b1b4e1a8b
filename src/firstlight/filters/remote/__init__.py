"""Filters on web servers, of which only what is needed is fetched."""
