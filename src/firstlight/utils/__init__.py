"""What every room may need and none owns: text for messages, whole files, the console, the cores.

Read first: `whole_files.py`.
"""
