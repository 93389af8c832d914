"""Features of output events: extractors by family, the one pass over the words, and the columns they make."""
