"""The one pass over the words, and the tables it looks words up in."""
