"""Lets `python -m migrate` stand for the `migrate` command."""

from migrate.cli.main import main

main()
