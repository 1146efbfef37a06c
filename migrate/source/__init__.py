"""Datatrics v2: the client, the five resources, paging, and the extract that turns them into a snapshot."""
