"""The kinds of data that a user may name, and what each can give: an ImageSet, a stream, shards.

Read first: `kind.py`.
"""
