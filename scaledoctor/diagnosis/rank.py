"""Roots by impact x confidence, each with its symptoms and the chain that leads to it."""

from collections.abc import Mapping, Sequence

from scaledoctor.diagnosis.graph import Graph, Step
from scaledoctor.model import Confidence, Finding, Kind, Severity, State, Use
from scaledoctor.report import Diagnosis, Hop

CONFIDENCE: Mapping[Confidence, float] = {
    Confidence.HIGH: 1.0,
    Confidence.MEDIUM: 0.7,
    Confidence.LOW: 0.4,
}
"""What a share of time is worth when we are less sure; only the order matters."""

MAJOR = Severity.MEDIUM
"""Live findings below it are listed, but never named as the bottleneck."""


def rank(uses: Sequence[Use], findings: Sequence[Finding]) -> tuple[Diagnosis, ...]:
    """Return the root causes, the costliest first."""
    live = [f for f in findings if f.kind is Kind.LIVE and f.severity >= MAJOR]
    graph = Graph(uses, live)
    owner = {id(f): graph.symptom_of(f) for f in live}
    roots = [f for f in live if owner[id(f)] is None]
    diagnoses: list[Diagnosis] = []
    for root in roots:
        symptoms = [f for f in live if _owner(f, owner) is root]
        impact = max([root.impact, *(s.impact * _share(graph, s, root) for s in symptoms)])
        diagnoses.append(
            Diagnosis(
                finding=root,
                fingerprint=root.fingerprint,
                score=min(1.0, impact) * CONFIDENCE[root.confidence],
                chain=tuple(map(_hop, _chain(graph, root, symptoms))),
                symptoms=tuple(sorted(symptoms, key=lambda s: -s.impact)),
            )
        )
    return tuple(sorted(diagnoses, key=_order))


def _owner(finding: Finding, owner: Mapping[int, Finding | None]) -> Finding | None:
    """Follow symptom-of to its end; a ring has no owner."""
    seen: set[int] = set()
    above = owner[id(finding)]
    while above is not None and owner[id(above)] is not None:
        if id(above) in seen:
            return None
        seen.add(id(above))
        above = owner[id(above)]
    return above


def _order(diagnosis: Diagnosis) -> tuple[float, int, str, str]:
    finding = diagnosis.finding
    return (-diagnosis.score, -finding.severity, finding.check, finding.subject)


def _share(graph: Graph, symptom: Finding, root: Finding) -> float:
    """The product of the measured shares on the way from a symptom to its root."""
    product = 1.0
    for step in graph.walk(symptom):
        product *= step.share if step.share is not None else 1.0
        if step.node is root:
            return product
    return 0.0


def _chain(graph: Graph, root: Finding, symptoms: Sequence[Finding]) -> list[Step]:
    """The longest measured way to the root from a resource that is saturated or busy."""
    starts = [u for u in graph.uses if u.state in (State.SATURATED, State.BUSY)]
    starts += [u for s in (root, *symptoms) for u in _explained(graph, s)]
    paths = [graph.walk(use) for use in starts]
    reaching = [path for path in paths if path[-1].node is root]
    return max(reaching, key=len, default=[Step(root, None)])


def _explained(graph: Graph, finding: Finding) -> list[Use]:
    found = (graph.use(key, finding.target) for key in finding.explains)
    return [use for use in found if use is not None]


def _hop(step: Step) -> Hop:
    node = step.node
    if isinstance(node, Finding):
        return Hop("finding", node.fingerprint, node.summary, node.target, step.share)
    return Hop("resource", node.key, use_words(node), node.target, step.share)


def use_words(use: Use) -> str:
    """A resource's state in one line: "postgres.locks: 8.0 of 8.2 busy sessions"."""
    used = f"{use.used:,.0f}" if use.used >= 10 else f"{use.used:.1f}"
    if use.detail:
        return f"{use.key}: {use.detail}"
    if use.limit is None:
        return f"{use.key}: {used} {use.unit}"
    limit = f"{use.limit:,.0f}" if use.limit >= 10 else f"{use.limit:.1f}"
    return f"{use.key}: {used} of {limit} {use.unit}"
