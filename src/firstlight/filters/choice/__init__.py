"""Which tensor of a bare state dict is the first layer, and what belongs to it."""
