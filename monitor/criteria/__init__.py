"""Criteria: what a use case expects of its outputs, by name.

A criterion with a `check` is decided by a program on every output (`monitor.criteria.checks`); the featurizer turns it
into the failure flag `output.check.<name>`, which is watched like any other feature. Configuration is read by
`monitor.settings` (`streams[].criteria`) and by `monitor.criteria.files` (a file of criteria alone).

Pure. May import `monitor.features` and below. Importing the configuration loads no numerical library.
"""
