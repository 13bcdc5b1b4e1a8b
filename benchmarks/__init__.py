"""Benchmarks: ratios against the straightforward way and the peers, measured side by side in one run."""
