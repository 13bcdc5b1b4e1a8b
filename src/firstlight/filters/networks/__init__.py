"""The first layer of a network in memory, or of one that is made by name."""
