"""Files of events: JSONL, CSV, Parquet."""
