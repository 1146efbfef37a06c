"""The second reading of the mapping language: the same text, worked out by DuckDB."""
