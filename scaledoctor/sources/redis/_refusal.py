"""What it means when a Redis does not let us in, in our words and in one line."""

import re

from scaledoctor.errors import Unreachable

SECONDS = 3.0
"""Of silence: to connect, or for one batch of replies. Below the engine's 4 s for a reading."""

# (pattern in redis-py's or the server's words, category, what it means, what to do); first wins.
_REFUSALS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"protected mode",
        "protected",
        "it is in protected mode: without a password it lets in its own machine alone",
        "scan from that machine, or give it a password: requirepass, or an ACL user",
    ),
    (
        r"max number of clients",
        "slots",
        "it has reached its maximum number of clients (maxclients)",
        "end idle clients: redis-cli CLIENT LIST, CLIENT KILL ID n; then pool connections",
    ),
    (
        r"without any password configured|no password is set",
        "auth",
        "the URL has a password, but the server has none for this user",
        "take it out of the URL, or name the ACL user: redis://user:password@host:6379",
    ),
    (
        r"WRONGPASS|invalid username-password|invalid password|user is disabled",
        "auth",
        "wrong user or password",
        "redis://user:password@host:6379, or redis://:password@host:6379 with requirepass; "
        "in a URL write @ as %40, / as %2F, : as %3A",
    ),
    (
        r"NOAUTH|Authentication required",
        "auth",
        "it wants a password",
        "redis://user:password@host:6379, or redis://:password@host:6379 with requirepass; "
        "REDIS_URL keeps it off the command line",
    ),
    (
        r"LOADING|is loading the dataset",
        "loading",
        "it is loading its data from disk and answers nobody yet",
        "scan again when it is done: redis-cli INFO persistence, loading_eta_seconds",
    ),
    (
        r"MASTERDOWN|Link with MASTER is down",
        "replica",
        "it is a replica that has lost its master and may not serve old data",
        "look at its master, or set replica-serve-stale-data yes",
    ),
    (
        r"^BUSY|running a script",
        "busy",
        "a script keeps it from answering anybody",
        "redis-cli SCRIPT KILL ends one that has not written yet",
    ),
    (
        r"WRONG_VERSION_NUMBER|record layer failure",
        "tls",
        "it does not speak TLS on this port",
        "use redis:// here, or rediss:// with its TLS port",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "tls",
        "its certificate cannot be verified",
        "name its authority: rediss://...?ssl_ca_certs=/path/ca.pem",
    ),
    (
        r"SSL|TLSV1|tlsv1",
        "tls",
        "TLS failed",
        "a client certificate goes into the URL: ?ssl_certfile=/path&ssl_keyfile=/path",
    ),
    (
        r"not known|name resolution|No address associated|nodename",
        "dns",
        "the host name cannot be resolved",
        "check the host name in the URL",
    ),
    (
        r"Protocol Error|Invalid RESP|not enough values",
        "protocol",
        "what answers there does not speak Redis's protocol",
        "is it the port of Redis (6379 by default)?",
    ),
    (
        r"unknown command '?SENTINEL",
        "sentinel",
        "this is no Sentinel",
        "redis://host:6379 for the server itself, or the Sentinel's port (26379 by default)",
    ),
    (
        r"[Tt]imeout|timed out",
        "timeout",
        f"accepts but does not answer within {SECONDS:g} s",
        "a port that speaks TLS wants rediss://",
    ),
    (
        r"[Nn]o such file",
        "refused",
        "there is no such socket",
        "redis-cli CONFIG GET unixsocket tells its path",
    ),
    (
        r"[Pp]ermission denied",
        "refused",
        "this account may not use the socket",
        "unixsocketperm in redis.conf, or scan as a member of its group",
    ),
    (
        r"[Cc]onnection closed|reset by peer|Broken pipe|Connection lost",
        "closed",
        "it closes the connection at once",
        "a port that speaks TLS wants rediss://",
    ),
    (
        r"DB index is out of range",
        "database",
        "it has no database of that number",
        "redis-cli CONFIG GET databases",
    ),
    (
        r"[Cc]onnect call failed|Connection refused|Error 111",
        "refused",
        "nothing listens there",
        "is it running, are host and port right?",
    ),
    (
        r"unreachable|No route",
        "refused",
        "the host cannot be reached",
        "check the address and the firewall",
    ),
)


def refusal(text: str) -> Unreachable:
    """Classify what redis-py or the server said."""
    for pattern, category, words, enable in _REFUSALS:
        if re.search(pattern, text):
            return Unreachable(category, words, enable=enable)
    line = text.strip().splitlines()[0][:200] if text.strip() else "no reason given"
    return Unreachable("refused", line)
