"""Values as operators write them: durations, secrets in files, names of functions."""
