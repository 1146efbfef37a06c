"""A plan's rows as files for the target's own import: their names, their contents, their manifest."""
