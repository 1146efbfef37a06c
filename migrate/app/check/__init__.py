"""The preflight."""
