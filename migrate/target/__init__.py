"""Octolis: the points budget, one client for every request, and what its answers mean."""
