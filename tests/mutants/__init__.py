"""Mutation runs: small faults put into a pure module, each of which its tests have to notice."""
