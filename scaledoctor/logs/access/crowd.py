"""Names in paths, such as those of products or users: many, and each seen only now and then."""

from collections import defaultdict
from collections.abc import Mapping

CROWD = 50
"""Rare routes that differ in one segment alone before they are taken as one."""

RARE = 3
"""Requests up to which a route is rare."""

NAME = ":name"


def crowded(requests: Mapping[str, int]) -> dict[str, list[str]]:
    """Find groups of rare routes: the name of each group and its members."""
    rare = {name: name.split("/") for name, count in requests.items() if count <= RARE}
    found: dict[str, list[str]] = {}
    for place in range(max(map(len, rare.values()), default=0) - 1, 0, -1):
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for name, parts in rare.items():
            if place < len(parts) and parts[place] not in ("", ":id", NAME):
                groups["/".join((*parts[:place], NAME, *parts[place + 1 :]))].append(name)
        for group, members in groups.items():
            if len(members) >= CROWD:
                found[group] = members
                for name in members:
                    del rare[name]
    return found
