"""Data to rehearse with, and its totals computed apart from the migration."""
