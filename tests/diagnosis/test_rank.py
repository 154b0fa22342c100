"""The blame chain: from what saturates down to whatever waits for nothing else."""

from scaledoctor.diagnosis.graph import Graph
from scaledoctor.diagnosis.rank import rank
from scaledoctor.model import Confidence, Finding, Kind, Severity, Use

T = "postgres:shop"


def use(resource: str, used: float, limit: float = 10.0, *, target: str = T, **more: object) -> Use:
    return Use(used, limit, "x", 0.75, 0.9, resource=resource, target=target, **more)  # type: ignore[arg-type]  # forwarded


def finding(check: str, **more: object) -> Finding:
    values: dict[str, object] = {
        "subject": check, "summary": check, "severity": Severity.HIGH, "target": T, "impact": 0.5,
    }  # fmt: skip
    return Finding(check=check, **{**values, **more})  # type: ignore[arg-type]  # forwarded


LOCKS = use("postgres.locks", 9.0)
FULL = use("postgres.connections", 9.5)
IDLE = finding("postgres.idle-in-transaction", explains={"postgres.locks": 1.0}, impact=0.9)
HOG = finding(
    "postgres.connection-hog",
    explains={"postgres.connections": 0.9},
    waits_for={"postgres.locks": 0.8},
    impact=0.95,
)


def test_a_consumer_that_waits_is_a_symptom_of_what_it_waits_for() -> None:
    """Connections are full of sessions that wait for one forgotten transaction: it is the root."""
    (only,) = rank([LOCKS, FULL], [HOG, IDLE])
    assert only.finding is IDLE
    assert only.symptoms == (HOG,)
    assert [hop.key for hop in only.chain] == [
        "postgres.connections", HOG.fingerprint, "postgres.locks", IDLE.fingerprint,
    ]  # fmt: skip
    assert [hop.share for hop in only.chain] == [None, 0.9, 0.8, 1.0]


def test_a_symptom_lends_its_impact_to_the_root_by_the_measured_shares() -> None:
    """0.95 of a hog that waits 0.8 of its time for what the root explains fully: 0.76."""
    small = finding("postgres.idle-in-transaction", explains={"postgres.locks": 1.0}, impact=0.1)
    (only,) = rank([LOCKS, FULL], [HOG, small])
    assert abs(only.score - 0.95 * 0.8) < 1e-9


def test_a_consumer_that_works_is_its_own_root() -> None:
    """Below half of its time waiting, a hog is mostly a hog."""
    hog = finding(
        "postgres.connection-hog",
        explains={"postgres.connections": 0.9},
        waits_for={"postgres.locks": 0.49},
    )
    assert [d.finding for d in rank([LOCKS, FULL], [hog, IDLE])] == [IDLE, hog]


def test_a_resource_that_is_held_up_makes_its_consumer_a_symptom() -> None:
    """The use itself may say what its holders wait for."""
    full = use("postgres.connections", 9.5, waits_for={"postgres.locks": 0.9})
    plain = finding("postgres.connection-hog", explains={"postgres.connections": 0.9})
    (only,) = rank([LOCKS, full], [plain, IDLE])
    assert (only.finding, only.symptoms) == (IDLE, (plain,))


def test_no_edge_without_its_evidence() -> None:
    """Waiting for a resource that nobody explains leaves the waiter a root."""
    (only,) = rank([LOCKS, FULL], [HOG])
    assert only.finding is HOG
    assert [hop.key for hop in only.chain] == ["postgres.connections", HOG.fingerprint]


def test_rank_is_impact_times_confidence() -> None:
    """A sure half beats an unsure two thirds."""
    sure = finding("a.sure", impact=0.5)
    unsure = finding("a.unsure", impact=0.65, confidence=Confidence.MEDIUM)
    assert [d.finding for d in rank([], [unsure, sure])] == [sure, unsure]


def test_minor_findings_risks_and_blind_spots_are_never_the_bottleneck() -> None:
    """Only live findings from medium on are ranked."""
    others = [
        finding("a.low", severity=Severity.LOW),
        finding("a.risk", kind=Kind.RISK, severity=Severity.CRITICAL),
        finding("a.blind", kind=Kind.BLIND_SPOT),
    ]
    assert rank([], others) == ()


def test_findings_that_wait_for_each_other_end() -> None:
    """A ring of waits has no root of its own, and does not hang; both stay visible."""
    a = finding("a.one", explains={"r.a": 1.0}, waits_for={"r.b": 1.0}, impact=0.6)
    b = finding("a.two", explains={"r.b": 1.0}, waits_for={"r.a": 1.0}, impact=0.5)
    ranked = rank([use("r.a", 9.5), use("r.b", 9.5)], [a, b])
    named = {f.check for d in ranked for f in (d.finding, *d.symptoms)}
    assert named == {"a.one", "a.two"}


def test_a_resource_of_another_target_is_found_when_it_is_the_only_one() -> None:
    """The database's statement explains the host's CPU, as there is one host."""
    cpu = use("host.cpu", 9.9, target="host")
    statement = finding("postgres.statement-share", explains={"host.cpu": 0.8})
    assert Graph([cpu], [statement]).use("host.cpu", T) is cpu
    (only,) = rank([cpu], [statement])
    assert [hop.target for hop in only.chain] == ["host", T]


def test_two_targets_do_not_mix() -> None:
    """Each database's locks are its own."""
    other = use("postgres.locks", 9.0, target="postgres:other")
    graph = Graph([LOCKS, other], [])
    assert graph.use("postgres.locks", "postgres:other") is other
    assert graph.use("postgres.locks", "postgres:third") is None


def test_a_quarter_is_the_least_that_explains() -> None:
    """A consumer with less is one of many."""
    many = finding("a.many", explains={"postgres.locks": 0.24})
    assert Graph([LOCKS], [many]).consumers(LOCKS) == []
    enough = finding("a.enough", explains={"postgres.locks": 0.25})
    assert [f for _, f in Graph([LOCKS], [enough]).consumers(LOCKS)] == [enough]
