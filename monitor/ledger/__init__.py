"""The ledger: actions, approvals, audit log, outbox and tokens, in SQLite or PostgreSQL. Its rows are the truth.

The topics `oqm.actions` and `oqm.reviews` are a feed of it: each change writes its message into the outbox in the same
transaction, and a courier publishes it. `base` is the contract, `tables` the schema, `migrations` builds it.

May import `monitor.actions` and below.
"""
