"""The command line, a file a command: parse, call, print.

Read first: `compare.py`.
"""

from firstlight.cli.command_line import app, main

__all__ = ["app", "main"]
