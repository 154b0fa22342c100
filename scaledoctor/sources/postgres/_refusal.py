"""What a refused or broken connection means: one category, one line, what to do."""

import re
from dataclasses import dataclass

from scaledoctor.errors import Unreachable


@dataclass(frozen=True, slots=True)
class _Rule:
    """``words`` is a pattern in the line; ``says`` is what people read, the line put in."""

    words: str
    category: str
    code: str = ""
    enable: str = ""
    says: str = "{}"


# The first rule that a line matches wins. libpq gives no SQLSTATE for a refused start-up, so its
# words must do. Names in double quotes are left out before a line is compared.
_RULES = (
    _Rule("too many connections for (?:role|database)", "limit", "53300"),
    _Rule("too many clients already|remaining connection slots are reserved", "slots", "53300"),
    _Rule(
        "statement pooling mode", "pooler", "08P01",
        "scan the server itself, or through a pool in transaction or session mode",
        "the pooler is in statement mode: no guard can be set through it",
    ),
    _Rule(
        "use SHOW HELP", "pooler", "08P01",
        "give the console as --pgbouncer, and a database behind it as --dsn",
        "this is PgBouncer's console, not a database",
    ),
    _Rule(
        "unsupported startup parameter", "pooler", "08P01",
        "take options= out of the DSN: the pooler refuses it",
    ),
    _Rule(
        "no more connections allowed|client_login_timeout|query_wait_timeout|server_login_retry"
        "|server login (?:has been )?fail|cannot connect to server|server conn crashed",
        "pooler", "08P01", "look at SHOW POOLS on the pooler's console and at its log",
    ),
    _Rule(
        "no password supplied|SASL authentication failed|authentication failed|no such user",
        "auth", "28P01", "check the user and the password (PGPASSWORD, ~/.pgpass, or the DSN)",
    ),
    _Rule(
        "no pg_hba.conf entry|pg_hba.conf rejects", "auth", "28000",
        "let this user, database and client address in through pg_hba.conf; where only hostssl "
        "lines match, sslmode=require helps",
    ),
    _Rule(
        'role ".*" (?:does not exist|is not permitted to log in)', "auth", "28000",
        "check the user in the DSN",
    ),
    _Rule(
        'permission denied for database', "auth", "42501",
        "GRANT CONNECT ON DATABASE ... TO this role",
    ),
    _Rule(
        'database ".*" does not exist|no such database', "database", "3D000", "check dbname",
    ),
    _Rule(
        'database ".*" is not currently accepting', "database", "55000",
        "it was made with ALLOW_CONNECTIONS false (template0 is): choose another dbname",
    ),
    _Rule(
        "the database system is|terminating connection due to administrator command", "recovery",
        "57P03", "the server is starting, stopping or recovering: try again in a moment",
    ),
    _Rule(
        "invalid response to SSL negotiation|expected authentication request", "protocol", "",
        "check host and port in the DSN", "what answers there is not PostgreSQL ({})",
    ),
    _Rule(
        "resolve host|translate host name|Name or service not known|nodename nor servname"
        "|Temporary failure in name resolution|No address associated", "dns", "",
        "check the host name in the DSN",
    ),
    _Rule(
        "invalid (?:integer value|port number|.* value)|definition of service|service file",
        "dsn", "", "check this part of the DSN",
    ),
    _Rule("certificate|SSL|TLS", "tls", "", "check sslmode and the certificates in the DSN"),
    _Rule(
        "no answer within|timeout expired|timed out", "timeout", "",
        "is this the right address, is a firewall between, does a pooler wait for its server?",
    ),
    _Rule(
        "server closed the connection", "refused", "",
        "something listens there and hangs up: is it PostgreSQL, and what does its log say?",
    ),
    _Rule(
        "Connection refused|No such file or directory|No route to host|Network is unreachable",
        "refused", "", "is the server running, are host and port right?",
    ),
)  # fmt: skip

_SAID = re.compile(r"^.*?\b(?:FATAL|ERROR):\s*")
_PREFIX = re.compile(r"^(?:.*?connection to server (?:at|on) .*? failed: |connection is bad: )")


def refusal(text: str) -> Unreachable:
    """Classify what the server, the pooler or libpq said; the message is its telling line."""
    lines = _lines(text)
    for rule in _RULES:
        for line in lines:
            if re.search(rule.words, re.sub('"[^"]*"', '""', line), re.IGNORECASE):
                return Unreachable(rule.category, rule.says.format(line), rule.code, rule.enable)
    return Unreachable("refused", lines[0])


def _lines(text: str) -> list[str]:
    """The server's own FATAL and ERROR lines, the last first; without any, all of libpq's.

    Where libpq says that it connected to is cut off: a host may be called anything.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    said = [_SAID.sub("", line) for line in reversed(lines) if _SAID.match(line)]
    return said or [_PREFIX.sub("", line) for line in lines]
