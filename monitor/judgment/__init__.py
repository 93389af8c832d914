"""Judged quality: which outputs are looked at, what the rate of passes is, and what changed. Pure: no I/O, no clock."""
