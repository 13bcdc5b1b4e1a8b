"""The one visual language of every figure.

Read first: `axes.py`.
"""
