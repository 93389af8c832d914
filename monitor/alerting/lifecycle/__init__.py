"""The life of an alert: what is open, grouped, damped, silenced, sent."""
