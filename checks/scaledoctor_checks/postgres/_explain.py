"""How to look at the plan of a statement whose literals are placeholders."""

import re

from scaledoctor.sdk import Fix

GENERIC_PLAN = 16
"""The version from which EXPLAIN takes placeholders as they are (manual, EXPLAIN)."""

_PLANNED = re.compile(r"\s*(?:select|insert|update|delete|merge|with|values|table)\b", re.I)
_TYPED = re.compile(r"\b(interval|date|time|timestamp|timestamptz)\s+(\$\d+)", re.I)
_PLACEHOLDER = re.compile(r"\$(\d+)")


def plan(query: str, major: int) -> tuple[str, ...]:
    """Return the commands that show the statement's generic plan without running it.

    Empty for what has no plan (utility statements) and for what was cut off or masked by ``?``,
    which no server can read.
    """
    if not _PLANNED.match(query) or "?" in query or len(query) >= 4000:
        return ()
    # A type before its literal, interval '1 day', takes no placeholder; a cast does.
    statement = _TYPED.sub(r"\2::\1", query.rstrip("; \n"))
    most = max((int(n) for n in _PLACEHOLDER.findall(statement)), default=0)
    if most == 0:
        return (f"EXPLAIN {statement};",)
    if major >= GENERIC_PLAN:
        return (f"EXPLAIN (GENERIC_PLAN) {statement};",)
    nothing = ", ".join(["NULL"] * most)
    return (
        "SET plan_cache_mode = force_generic_plan;",
        f"PREPARE looked_at AS {statement};",
        f"EXPLAIN EXECUTE looked_at({nothing});",
        "DEALLOCATE looked_at; RESET plan_cache_mode;",
    )


def plan_fix(title: str, query: str, major: int, verify: str) -> tuple[Fix, ...]:
    """The same as a fix; none where there is no plan to look at."""
    commands = plan(query, major)
    if not commands:
        return ()
    risk = "none: it is planned, not run; a plan with real values may differ"
    return (Fix(title, commands, risk=risk, verify=verify, undo="none needed"),)
