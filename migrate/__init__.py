"""Moves a retailer's data from Datatrics v2 to Octolis."""

__version__ = "0.1.0"
