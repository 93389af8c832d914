"""The log `oqm.features`: its message format, ticks, readers."""
