"""The role `store`: the log's outputs, violated checks and alerts into the trace store, with the position of each."""
