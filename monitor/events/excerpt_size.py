"""How long excerpts are, without numpy, for what only displays them. May import nothing from this project."""

EXCERPT_CHARS = 160  # two lines of a terminal, and what an alert of three examples has room for
