"""firstlight: measure, explain and reproduce what the first layer of a convolutional network learns."""

__version__ = "0.1.0"
