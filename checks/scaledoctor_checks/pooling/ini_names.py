"""Lines of pgbouncer.ini that PgBouncer does not understand."""

from collections.abc import Iterator
from difflib import get_close_matches

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.pgbouncer import PoolerConfig
from scaledoctor.sources.pgbouncer_ini import IniLine, IniProblem, PoolerIni
from scaledoctor_checks.pooling._ini import NAMES

MOST = 20
"""Findings of one kind; after that the file is something else."""

SECTIONS = ("databases", "pgbouncer", "users", "peers")


@check("pgbouncer.ini-unknown-setting", step=Step.POOL)
def ini_unknown_setting(ini: PoolerIni, config: PoolerConfig | None, /) -> Iterator[Finding]:
    """pgbouncer.ini has a setting that PgBouncer does not know.

    Why: it refuses to start with it, and at RELOAD it keeps all old values; whoever wrote the line
    believes that it counts.
    How measured: the names in [pgbouncer] against those of every version from 1.15 on; with the
    console at hand against those of the version that runs.
    Fix: the nearest name that exists.
    When to ignore: a version that is newer than this list.
    References: PgBouncer manual, "Generic settings"; main.c of each release.
    """
    version = config.version[1] if config else max(NAMES.values())
    lines = [one for one in ini.section("pgbouncer") if NAMES.get(one.name, 99) > version]
    unknown = [one for one in ini.lines if one.section not in SECTIONS]
    for line in [*lines, *unknown][:MOST]:
        yield _unknown(line, config)


def _unknown(line: IniLine, config: PoolerConfig | None) -> Finding:
    first = NAMES.get(line.name)
    near = get_close_matches(line.name, NAMES, 1, 0.75)
    if line.section not in SECTIONS:
        near = get_close_matches(line.section, SECTIONS, 1, 0.6)
        what = f"[{line.section}] is no section of PgBouncer"
    elif first:
        what = f"{line.name} came with 1.{first}" + (f", this is {config.name}" if config else "")
        near = []
    else:
        what = f"{line.name} is no setting of PgBouncer"
    hint = f"; did you mean {near[0]}?" if near else ""
    section = line.section not in SECTIONS
    right = f"[{near[0]}]" if section and near else f"{near[0]} = {line.value}" if near else ""
    return Finding(
        subject=f"[{line.section}]" if section else line.name,
        summary=f"{line.where}: {what}{hint}",
        severity=Severity.MEDIUM,
        evidence=(Evidence("line", f"{line.name} = {line.value}"[:120], source=line.where),),
        fixes=(
            Fix(
                f"Write {right}" if right else "Take the line out",
                (f"; {line.where}, instead of it:", right or "; nothing"),
                language="ini",
                risk="the setting counts from then on",
                verify="pgbouncer starts; RELOAD; on the console answers without an error",
                undo="the old line",
            ),
        ),
        kind=Kind.RISK,
    )


@check("pgbouncer.ini-syntax", step=Step.POOL)
def ini_syntax(ini: PoolerIni, /) -> Iterator[Finding]:
    """pgbouncer.ini has a line at which PgBouncer stops reading.

    Why: it does not start with such a file; at RELOAD it keeps what it had, and says so only in
    its log.
    How measured: each line is a comment, a [section], name = value or %include, as PgBouncer's own
    parser reads them; names with other characters than letters, digits and _.*- cannot be written
    before 1.25. Includes are followed, ten deep.
    Fix: the line.
    When to ignore: an include that only PgBouncer's user can read, or that is found from
    PgBouncer's working folder.
    References: PgBouncer manual, "Configuration file format"; cfparser.c.
    """
    for problem in ini.problems[:MOST]:
        yield _problem(problem)


def _problem(problem: IniProblem) -> Finding:
    include = problem.words.startswith("include ")
    return Finding(
        subject=problem.where,
        summary=f"{problem.where}: {problem.words}",
        severity=Severity.LOW if include else Severity.MEDIUM,
        evidence=(Evidence("line", float(problem.line), source=problem.where),),
        fixes=(
            Fix(
                "Mend the line, then try the file",
                (
                    f"${{EDITOR:-vi}} +{problem.line} '{problem.file}'",
                    'psql -p 6432 -U pgbouncer pgbouncer -c "RELOAD"',
                ),
                language="shell",
                risk="other changes in the file count from then on too",
                verify="PgBouncer's log says nothing of an error in its configuration",
                undo="the old line",
            ),
        ),
        kind=Kind.RISK,
    )


@check("pgbouncer.ini-section-twice", step=Step.POOL)
def ini_section_twice(ini: PoolerIni, /) -> Iterator[Finding]:
    """pgbouncer.ini opens [pgbouncer] twice, which resets what stands in the first.

    Why: a section begins with the defaults of all its settings; those of the first [pgbouncer],
    admin_users among them, count no more, and nothing says so.
    How measured: [pgbouncer] begins again, in the file or an include, after settings.
    Fix: one section.
    When to ignore: never.
    References: cfparser.c, fill_defaults; seen with 1.18 and 1.25.
    """
    for reset in ini.resets[:MOST]:
        names = reset.words.split(", ")
        yield Finding(
            subject="[pgbouncer]",
            summary=(
                f"{reset.where}: a second [pgbouncer] sets {', '.join(names[:4])}"
                f"{' and more' if len(names) > 4 else ''} back to the default"
            ),
            severity=Severity.MEDIUM,
            evidence=(
                Evidence("settings that count no more", reset.words[:200], source=reset.where),
            ),
            fixes=(
                Fix(
                    "Take the second head out, and move its lines up if another section is between",
                    (f"sed -i '{reset.line}s/^/; /' '{reset.file}'",),
                    language="shell",
                    risk="the settings of the first section count again",
                    verify="SHOW CONFIG; after RELOAD; on the console",
                    undo=f"sed -i '{reset.line}s/^; //' '{reset.file}'",
                ),
            ),
            kind=Kind.RISK,
        )
