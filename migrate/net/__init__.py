"""Requests over HTTP: one door, deadlines, retries."""
