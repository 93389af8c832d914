"""The demo: a simulated support assistant, its faults, and a show of what the monitor makes of them.

Nothing here is tuned to the detector: the worker runs with the defaults that real data gets.
"""
