"""The trace store: every output with all that is known of it, so that one can be looked up and searched.

The log is the truth; the store is a projection of `oqm.outputs` and `oqm.features` that can be dropped and rebuilt: the
rows are the same. It is SQLite by default, files by day, and PostgreSQL for more than one machine, partitions by day.

`records` says what is kept of an event, `privacy` in which form, `tables` the schema, `sqlite` and `postgres` how it is
written, `query` what can be asked. May import `monitor.events` and below.
"""
