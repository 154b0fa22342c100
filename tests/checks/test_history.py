"""What was used and what waited over the window, beside the numbers that they belong to."""

from scaledoctor.sdk import Band, Reach, Window
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor_checks.balancing.haproxy_use import backend, frontend
from scaledoctor_checks.host.cpu import cpu
from scaledoctor_checks.pooling.pool import pool
from scaledoctor_checks.postgres._doing import doing
from scaledoctor_checks.postgres.connections import connections
from scaledoctor_checks.postgres.locks import locks
from scaledoctor_checks.queues.workers import workers
from tests.checks import haproxy_facts, pool_facts
from tests.checks.pg_facts import SERVER, active, activity, idle, open_idle, settings, waiting
from tests.checks.queue_facts import growing

LOCKED = Window.of(
    *(activity(open_idle(1), idle(2), active(3), *(waiting(9 + i, 1) for i in range(count)))
      for count in (0, 1, 2, 5))
)  # fmt: skip


def test_connections_and_locks_tell_each_sample() -> None:
    """Ours count among the connections, as they do in what is used."""
    use = connections(Reach(True, 0.0), LOCKED, settings(100))
    assert use is not None
    assert use.history == (4.0, 5.0, 6.0, 9.0)
    assert max(use.history) == use.used
    assert locks(SERVER, LOCKED).history == (0.0, 1.0, 2.0, 5.0)


def test_what_sessions_did_is_told_by_what_they_waited_for() -> None:
    """Running first, then the largest; idle ones are left out, and that is said."""
    chart = locks(SERVER, LOCKED).chart
    assert chart is not None
    assert chart.bands == (
        Band("running", (1.0, 1.0, 1.0, 1.0)),
        Band("Lock", (0.0, 1.0, 2.0, 5.0)),
        Band("idle in transaction", (1.0, 1.0, 1.0, 1.0)),
    )
    assert (chart.seconds, chart.unit, chart.note) == (1.5, "sessions", "idle ones left out")


def test_nothing_done_or_one_look_makes_no_chart() -> None:
    """An empty picture says nothing."""
    assert doing(Window.of(*[activity(idle(1), idle(2))] * 8)) is None
    assert doing(Window.of(activity(active(1)))) is None


def test_spares_of_a_leader_are_no_waiters_in_the_chart() -> None:
    """They stand by on purpose, as in the resource itself."""
    spare = waiting(3, 1, event="advisory")
    assert doing(Window.of(*[activity(idle(1), spare)] * 4)) is None


def test_a_pool_tells_its_servers_and_its_queue() -> None:
    """Each pool its own; a sample without it counts as none."""
    rows = [(pool_facts.pool(n, w), pool_facts.pool(7, 0, user="batch")) for n, w in
            ((1, 0), (20, 0), (20, 4), (20, 9))]  # fmt: skip
    samples = [pool_facts.steady(*pair, samples=1).first for pair in rows]
    window = Window.of(*samples, pool_facts.steady(rows[0][1], samples=1).first)
    use = pool_facts.uses(pool, window, databases=pool_facts.databases())["shop/web"]
    assert use.history == (1.0, 20.0, 20.0, 20.0, 0.0)
    assert use.queued == (0.0, 0.0, 4.0, 9.0, 0.0)


def test_a_queue_tells_its_slots_and_its_jobs() -> None:
    """Where the framework tells what is worked on; what waits is always known."""
    busy = {"slots": 4, "consumers": 4, "in_flight": 4}
    (use,) = workers(growing(0, 200, **busy), None, None, None, None, None)
    assert set(use.history) == {4.0}
    assert use.queued == tuple(float(10 * i) for i in range(21))
    (nobody,) = workers(growing(10, 200, consumers=0), None, None, None, None, None)
    assert nobody.history == ()
    assert len(nobody.queued) == 21


def test_a_cpu_tells_its_cores_over_time() -> None:
    """Busy cores between each two samples, and the tasks beyond the cores."""
    info = HostInfo(cores=2, memory=2**33, container=False)
    busy = (0.0, 0.5, 1.5, 2.5, 2.5)
    window = Window.of(
        *(CpuTimes(b, 0.0, 0.0, 0.0, (b,), 4, 0, None, None, None) for b in busy), every=1.0
    )
    use = cpu(info, window)
    assert use is not None
    assert use.history == (0.5, 1.0, 1.0, 0.0)
    assert use.queued == (2.0,) * 5


def test_a_backend_tells_its_requests_and_its_queue() -> None:
    """And a frontend its sessions."""
    stats, now = haproxy_facts.seen(haproxy_facts.server("a", in_hand=2.0), waiting=3.0, samples=8)
    (use,) = backend(now, stats, None, None, None, None)
    assert (use.history, use.queued) == ((2.0,) * 8, (3.0,) * 8)
    (front,) = frontend(now, stats.last)
    assert front.history == (10.0,) * 8


def test_that_nobody_runs_is_told() -> None:
    """So that running is the first band in every report, and drawn alike."""
    chart = doing(Window.of(*[activity(open_idle(1), waiting(2, 1))] * 4))
    assert chart is not None
    assert chart.bands[0] == Band("running", (0.0,) * 4)
