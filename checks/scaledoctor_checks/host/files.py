"""Open files: a process at its own limit, or the system at its."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Unavailable,
    Use,
    check,
    resource,
)
from scaledoctor.sources.host import FileUse, OpenFiles

SOURCE = "/proc/PID/fd and limits"


@resource("host.open-files", step=Step.SCALE_OUT)
def open_files(now: OpenFiles, /, *, warn: float = 0.7, critical: float = 0.9) -> Use | None:
    """Open files of the whole system against its limit.

    How measured: /proc/sys/fs/file-nr.

    Thresholds: busy from ``warn`` (node-mixin), saturated from ``critical`` (Netdata, node-mixin).
    """
    if not now.limit:
        return None
    return Use(
        used=float(now.used),
        limit=float(now.limit),
        unit="files",
        warn=warn,
        critical=critical,
    )


@check("host.open-files-limit", step=Step.SCALE_OUT)
def open_files_limit(
    now: OpenFiles, /, *, warn: float = 0.8, critical: float = 0.95, system: float = 0.9
) -> Iterator[Finding]:
    """A process has nearly as many files and sockets open as it may.

    Why: at its limit it can accept no connection and open no file: "Too many open files".

    How measured: descriptors of each process that we may see (of all since Linux 6.2, before that
    of our own user) against its own soft limit; a
    risk from ``warn``, critical from ``critical``. Of the whole system from ``system`` on
    (Netdata, node-mixin); Netdata warns at 95 % of a process.

    Fix: a higher limit where the work needs it; a leak has a number that only grows.

    When to ignore: never at the critical threshold.

    References: getrlimit(2), RLIMIT_NOFILE; proc(5).
    """
    if now.limit and now.used >= system * now.limit:
        yield _system(now, system)
    for use in now.processes:
        if use.limit and use.used >= warn * use.limit:
            yield _process(use, warn, critical)
    if now.seen is None:
        raise Unavailable("no process is told of", "run scaledoctor on that machine, too")
    if now.hidden > now.seen:
        raise Unavailable(
            f"the open files of {now.hidden} processes are not ours to see",
            "run as root or as the service's user",
        )


def _process(use: FileUse, warn: float, critical: float) -> Finding:
    share = use.used / use.limit
    live = share >= critical
    more = 4 * use.limit
    return Finding(
        subject=use.label,
        summary=f"{use.label} (pid {use.pid}) has {use.used:,} of {use.limit:,} files open",
        severity=Severity.CRITICAL if live else Severity.MEDIUM,
        evidence=(
            Evidence("open, of its limit", share, "share", warn, SOURCE),
            Evidence("files and sockets", float(use.used), f"of {use.limit}", source=SOURCE),
        ),
        fixes=(
            Fix(
                "Raise the limit of the running process",
                (f"prlimit --pid {use.pid} --nofile={more}:{more}",),
                language="shell",
                risk="a leak goes on longer; the other end must bear as many connections",
                verify=f"ls /proc/{use.pid}/fd | wc -l: it stays far below",
                undo=f"prlimit --pid {use.pid} --nofile={use.limit}:{more}",
            ),
            Fix(
                "If it is a systemd service: for good",
                (
                    f'systemctl edit "$(ps -o unit= -p {use.pid})"',
                    f"# [Service]\n# LimitNOFILE={more}",
                ),
                language="shell",
                risk="needs a restart of the service",
                verify="systemctl show -p LimitNOFILE UNIT",
                undo="remove the line again",
            ),
        ),
        impact=0.5 if live else 0.0,  # what is refused from here on is not seen
        kind=Kind.LIVE if live else Kind.RISK,
    )


def _system(now: OpenFiles, system: float) -> Finding:
    return Finding(
        subject="fs.file-max",
        summary=f"{now.used:,} of {now.limit:,} files of the whole system are open",
        severity=Severity.CRITICAL,
        evidence=(Evidence("open", now.used / now.limit, "share", system, "/proc/sys/fs/file-nr"),),
        fixes=(
            Fix(
                "Twice the limit, then see who has them",
                (f"sysctl -w fs.file-max={2 * now.limit}",),
                language="shell",
                risk="about 1 kB of kernel memory per open file",
                verify="cat /proc/sys/fs/file-nr",
                undo=f"sysctl -w fs.file-max={now.limit}",
            ),
        ),
        explains={"host.open-files": 1.0},
        impact=0.5,  # as above
    )
