"""What followed from a flagged output, over streams and services: from the trace store and the ledger together.

`origin` finds out what an id names, `report` says what followed and what can still be undone, `undo` undoes it.
The walk itself is `monitor.actions.cascade`. Called by `oqm cascade`, by `GET /v1/cascade/{id}` and by the worker that
watches for loops.
"""
