"""The mapping language: YAML files in, typed rows out; no clock, no network, no database."""
