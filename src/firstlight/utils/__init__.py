"""What every room may need and none owns: text for messages, whole files, locks, progress, checks of numbers.

Read first: `whole_files.py`.
"""
