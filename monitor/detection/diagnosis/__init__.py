"""From a crossing to words: when, what, where, because of what."""
