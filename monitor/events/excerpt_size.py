"""How long excerpts are; in a module without numpy, for what only displays them. May import nothing from this project."""

EXCERPT_CHARS = 160
