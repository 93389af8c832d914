"""The path without a broker, and what other settings would have found."""
