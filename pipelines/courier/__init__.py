"""Publishes the ledger's outbox to `oqm.actions` and `oqm.reviews`: at least once, in order, one process at a time."""
