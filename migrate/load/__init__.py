"""Executing a plan: a ledger of what is done, a loader that decides, workers that only send."""
