"""Both services on loopback, written from their documents only: a place to rehearse and to test.

Imports nothing of the tool but its errors, so that a misreading of a document cannot hide on both sides.
"""
