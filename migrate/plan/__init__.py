"""Snapshot + mappings + live target → plan: the dry run. Sends no write."""
