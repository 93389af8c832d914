"""How state is written: snapshot encoding and compiled loops."""
