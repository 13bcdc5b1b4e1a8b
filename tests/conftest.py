"""What all tests share."""

from hypothesis import settings

# Tests run beside each other, on machines that others use: how long an example took says nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
