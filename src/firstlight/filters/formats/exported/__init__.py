"""Programs that torch.export wrote."""
