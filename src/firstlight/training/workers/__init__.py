"""Trainings in processes of their own, here or where an engine runs them."""
