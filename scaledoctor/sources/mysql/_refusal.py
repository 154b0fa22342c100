"""What a refused login means: one category, one line, what to do."""

from collections.abc import Mapping

from scaledoctor.errors import Unreachable

CODES: Mapping[int, tuple[str, str]] = {
    1040: ("slots", ""),
    1203: ("limit", ""),
    1226: ("limit", "SHOW GRANTS FOR that user: a limit of its own is reached"),
    1045: ("auth", "check user and password in the URL"),
    1698: ("auth", "that account logs in by its socket alone: make one with a password"),
    1044: ("auth", "GRANT USAGE ON that database TO this user, or leave it out of the URL"),
    1130: ("auth", "the server has no account for this client's address: CREATE USER ...@'%'"),
    1129: ("auth", "too many broken logins from this address: FLUSH HOSTS"),
    1049: ("database", "check the database's name in the URL, or leave it out"),
    1053: ("recovery", "the server is shutting down: try again in a moment"),
    1251: ("auth", "this account's way to log in is not known to PyMySQL"),
}
"""Server error numbers: a category, and what to do."""

MUTE = "something accepts there and does not answer as MySQL does"


def refusal(code: int, message: str) -> Unreachable:
    """Classify what the server or PyMySQL said."""
    if code in CODES:
        category, enable = CODES[code]
        return Unreachable(category, message, str(code), enable)
    text = message.lower()
    if "getaddrinfo" in text or "name or service" in text or "name resolution" in text:
        return Unreachable("dns", "cannot resolve the host", "", "check the host in the URL")
    if "certificate" in text or "ssl" in text or "secure transport" in text:
        return Unreachable("tls", message, "", "check ssl_ca in the URL against the server's")
    if "packet sequence" in text or "protocol" in text or "unpack" in text or "index" in text:
        return Unreachable(
            "protocol", "what answers there is not MySQL", "", "check host and port in the URL"
        )
    if "timed out" in text:
        return Unreachable(
            "timeout", f"no answer: {MUTE}", "", "is this the right port, is a firewall between?"
        )
    if "lost connection" in text or "reset by peer" in text or "broken pipe" in text:
        return Unreachable("refused", MUTE, "", "is this the right port? see the server's log")
    return Unreachable("refused", message, "", "is the server running, are host and port right?")
