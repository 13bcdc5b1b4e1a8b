"""Colours, markers and lines that all figures share: told apart in colour blindness and in grey."""

# A line as matplotlib takes it: by name, or as an offset and lengths on and off.
LineStyle = str | tuple[int, tuple[int, ...]]

# Okabe and Ito (2008): told apart by people with every common form of colour blindness.
MEASURED = "#0072B2"  # what networks did
PREDICTED = "#D55E00"  # what the closed form says
COMPOSITION = "#009E73"  # what a stack of linear convolutions says
REFERENCE = "0.45"  # what nothing was trained for: a random initialisation, chance, an ideal
# Several things of one kind, such as networks: told apart by colour, and in grey by marker and line.
SERIES: tuple[tuple[str, str, LineStyle], ...] = (
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", "--"),
    ("#009E73", "^", "-."),
    ("#CC79A7", "D", ":"),
    ("#E69F00", "v", (0, (5, 1))),
    ("#56B4E9", "P", (0, (3, 1, 1, 1))),
    ("#000000", "X", (0, (1, 1))),
)
# Light to dark is early to late, in every figure that shows time.
TIME_COLOURS = "viridis_r"
# Text and marks on a picture or heat map: the same on a dark page, where black lines become light.
ON_LIGHT, ON_DARK = "#010101", "#fefefe"
