"""Snapshots: pages on their way to disk, parts, the manifest, and reading them again."""
