"""Kinds of whitening filters."""

from typing import Literal

Kind = Literal["pca", "zca", "eq3"]
EPS = 5e-4  # of the variance of normalised pixels, as the fast networks for CIFAR-10 have it
