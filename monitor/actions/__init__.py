"""Actions that applications ask about before they act: what they are, what is decided, and what may follow. Pure."""
