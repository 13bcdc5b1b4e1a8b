"""PyTorch files: checkpoints, TorchScript, and the pickles inside them."""
