"""A reviewer's desk: the review queue of the ledger with the texts of the trace store, in this process or over HTTP.

May import `monitor.settings` and below.
"""
