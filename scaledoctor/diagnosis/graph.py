"""The blame graph: what saturates, who consumes it, what that consumer waits for.

Nodes are uses of resources and live findings. An edge exists only where a plug-in measured its
share: a finding ``explains`` a share of a resource, a finding or a use ``waits_for`` another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.model import Finding, Use

Node = Use | Finding

EXPLAINS = 0.25
"""Below a quarter of a resource a consumer is one of many, not its explanation."""

WAITS = 0.5
"""Whoever spends less than half of its time waiting is mostly working."""


@dataclass(frozen=True, slots=True)
class Step:
    """One hop of a chain: the node and the measured share that led to it."""

    node: Node
    share: float | None


@dataclass(frozen=True)
class Graph:
    """Uses and live findings of one scan."""

    uses: Sequence[Use]
    findings: Sequence[Finding]

    def use(self, key: str, near: str) -> Use | None:
        """The use of that key on the same target, else the only one there is.

        A key may leave out the subject, unless there is a use without one.
        """
        named = [u for u in self.uses if key in (u.key, u.resource)]
        here = [u for u in named if u.target == near]
        if here:
            return max(here, key=lambda u: u.utilization or 0.0)
        exact = [u for u in named if u.key == key] or named
        return exact[0] if len(exact) == 1 else None

    def consumers(self, use: Use) -> list[tuple[float, Finding]]:
        """Findings that explain a use, the largest share first."""
        found = [
            (share, finding)
            for finding in self.findings
            for key, share in finding.explains.items()
            if share >= EXPLAINS and self.use(key, finding.target) is use
        ]
        return sorted(found, key=lambda pair: (-pair[0], -pair[1].impact, pair[1].check))

    def waits(self, node: Node) -> list[tuple[float, Use]]:
        """The resources that a node itself waits for, the largest share first."""
        found = [
            (share, use)
            for key, share in node.waits_for.items()
            if share >= WAITS and (use := self.use(key, node.target)) is not None
        ]
        return sorted(found, key=lambda pair: -pair[0])

    def leads(self, use: Use, above: tuple[Use, ...] = ()) -> bool:
        """Whether a resource has a consumer, or waits for one that has."""
        if self.consumers(use):
            return True
        further = (u for _, u in self.waits(use) if not any(u is a for a in (use, *above)))
        return any(self.leads(u, (*above, use)) for u in further)

    def next(self, node: Node) -> Step | None:
        """The hop below a node: what it waits for, else who consumes it."""
        for share, use in self.waits(node):
            if self.leads(use):
                return Step(use, share)
        if isinstance(node, Use):
            for share, finding in self.consumers(node):
                return Step(finding, share)
        return None

    def walk(self, start: Node) -> list[Step]:
        """From a symptom down to whatever waits for nothing else."""
        path = [Step(start, None)]
        while (step := self.next(path[-1].node)) is not None:
            if any(step.node is seen.node for seen in path):
                break
            path.append(step)
        return path

    def symptom_of(self, finding: Finding) -> Finding | None:
        """The root that a finding is a symptom of, None when it is a root itself.

        A finding follows from another one if it waits for what that one consumes, or if the
        resource that it consumes is itself held up by what that one consumes.
        """
        end = self.walk(finding)[-1].node
        if isinstance(end, Finding) and end is not finding:
            return end
        for key in finding.explains:
            use = self.use(key, finding.target)
            for _, behind in self.waits(use) if use else ():
                root = self.walk(behind)[-1].node
                if isinstance(root, Finding) and root is not finding:
                    return root
        return None
