"""The cut-over night: forecast, run, rehearsal."""
