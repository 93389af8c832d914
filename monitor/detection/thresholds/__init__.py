"""Fixed thresholds: limits that the operator sets, over windows of events or of event time."""
