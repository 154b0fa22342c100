"""SQLSTATE of well-known messages, for logs whose prefix has no %e."""

_STATES = (
    (b"sorry, too many clients already", b"53300"),
    (b"remaining connection slots are reserved", b"53300"),
    (b"too many connections for ", b"53300"),
    (b"canceling statement due to statement timeout", b"57014"),
    (b"canceling statement due to user request", b"57014"),
    (b"canceling statement due to conflict with recovery", b"40001"),
    (b"canceling statement due to lock timeout", b"55P03"),
    (b"canceling autovacuum task", b"57014"),
    (b"terminating connection due to idle-in-transaction timeout", b"25P03"),
    (b"terminating connection due to idle-session timeout", b"57P05"),
    (b"terminating connection due to transaction timeout", b"25P04"),
    (b"terminating connection due to administrator command", b"57P01"),
    (b"deadlock detected", b"40P01"),
    (b"could not serialize access", b"40001"),
    (b"could not obtain lock on ", b"55P03"),
    (b"duplicate key value violates unique constraint", b"23505"),
    (b"password authentication failed", b"28P01"),
    (b"no pg_hba.conf entry", b"28000"),
    (b"the database system is starting up", b"57P03"),
    (b"the database system is shutting down", b"57P03"),
    (b"the database system is in recovery mode", b"57P03"),
    (b"the database system is not yet accepting connections", b"57P03"),
    (b"out of shared memory", b"53200"),
    (b"out of memory", b"53200"),
    (b"syntax error at ", b"42601"),
    (b"current transaction is aborted", b"25P02"),
    (b"invalid input syntax for type", b"22P02"),
    (b"division by zero", b"22012"),
    (b"permission denied for ", b"42501"),
    (b"value too long for type", b"22001"),
    (b"null value in column", b"23502"),
)
_ENDINGS = (
    (b"column", b"does not exist", b"42703"),
    (b"relation", b"does not exist", b"42P01"),
    (b"function", b"does not exist", b"42883"),
    (b"database", b"does not exist", b"3D000"),
    (b"prepared statement", b"does not exist", b"26000"),
    (b"prepared statement", b"already exists", b"42P05"),
    (b"insert or update on table", b"", b"23503"),
    (b"update or delete on table", b"", b"23503"),
    (b"new row for relation", b"", b"23514"),
    (b"could not extend file", b"", b"53100"),
)


def sqlstate(message: bytes) -> bytes:
    """The SQLSTATE that PostgreSQL gives with this message; empty when it is not a known one."""
    line = message.partition(b"\n")[0]
    for start, state in _STATES:
        if line.startswith(start):
            return state
    for start, inside, state in _ENDINGS:
        if line.startswith(start) and inside in line:
            return state
    return b""
