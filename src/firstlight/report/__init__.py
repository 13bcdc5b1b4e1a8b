"""What people look at: tables in the terminal, figures as files, and pages. It renders values, and computes none.

Read first: `terminal.py`.
"""
