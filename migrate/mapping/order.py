"""The order in which datasets can be made: what is looked up comes first."""

from __future__ import annotations

from collections.abc import Mapping as Dict

from migrate.mapping.model import Mapping


def dependency_order(mappings: Dict[str, Mapping]) -> dict[str, Mapping]:
    """The mappings, each after those it looks up, otherwise by name. What stands in a circle is left out."""
    done: dict[str, Mapping] = {}
    while True:
        ready = [
            name
            for name in sorted(mappings)
            if name not in done and _needs(mappings, name) <= done.keys()
        ]
        if not ready:
            return done
        done[ready[0]] = mappings[ready[0]]


def find_circle(mappings: Dict[str, Mapping]) -> list[str]:
    """One circle of look-ups as dataset names, the first repeated at the end; empty when there is none."""
    left = set(mappings) - set(dependency_order(mappings))
    path: list[str] = []
    at = min(left, default=None)
    while at is not None and at not in path:
        path.append(at)
        at = min(_needs(mappings, at) & left, default=None)
    return [] if at is None else [*path[path.index(at) :], at]


def _needs(mappings: Dict[str, Mapping], name: str) -> set[str]:
    return mappings[name].looked_up & set(mappings)
