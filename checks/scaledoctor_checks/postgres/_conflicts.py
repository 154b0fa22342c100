"""Which table locks refuse each other."""

from collections.abc import Mapping

# PostgreSQL's table-level lock conflicts (manual, section "Table-Level Locks"), weakest first.
_CONFLICTS: Mapping[str, frozenset[str]] = {
    "AccessShareLock": frozenset({"AccessExclusiveLock"}),
    "RowShareLock": frozenset({"ExclusiveLock", "AccessExclusiveLock"}),
    "RowExclusiveLock": frozenset(
        {"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
    ),
    "ShareUpdateExclusiveLock": frozenset(
        {"ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock",
         "AccessExclusiveLock"}
    ),
    "ShareLock": frozenset(
        {"RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareRowExclusiveLock", "ExclusiveLock",
         "AccessExclusiveLock"}
    ),
    "ShareRowExclusiveLock": frozenset(
        {"RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
         "ExclusiveLock", "AccessExclusiveLock"}
    ),
    "ExclusiveLock": frozenset(
        {"RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
         "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
    ),
}  # fmt: skip


def conflicts(wanted: str, held: set[str]) -> bool:
    """Whether any held table lock refuses the wanted one."""
    if wanted == "AccessExclusiveLock":
        return bool(held)
    return bool(_CONFLICTS.get(wanted, frozenset()) & held)
