"""The one visual language of every figure."""
