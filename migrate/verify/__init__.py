"""Looks at what a load did, from the side: it reads files and asks the target, and calls neither plan nor load."""
