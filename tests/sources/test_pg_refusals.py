"""Every way in which a PostgreSQL does not let us in: one category, one line, in time."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresBinaries, PostgresServer, postgres, standby_of
from scaledoctor.errors import ScaledoctorError
from scaledoctor.sdk import Reach
from scaledoctor.sources.postgres import _connect, _wire
from scaledoctor.sources.postgres._refusal import refusal
from scaledoctor.targets import targets
from tests.servers import StartPgBouncer, postgres_binaries
from tests.sources.pg import listener, look, run, session, until

pytestmark = pytest.mark.live

HBA = """
host all guarded 127.0.0.1/32 scram-sha-256
host all rejected 127.0.0.1/32 reject
host all postgres,sleeper,limited,plain,absent 127.0.0.1/32 trust
"""

SETUP = """
CREATE ROLE guarded LOGIN PASSWORD 'right horse'
CREATE ROLE sleeper
CREATE ROLE limited LOGIN CONNECTION LIMIT 0
CREATE ROLE plain LOGIN
CREATE DATABASE full_up CONNECTION LIMIT 0
CREATE DATABASE closed ALLOW_CONNECTIONS false
CREATE DATABASE private
REVOKE CONNECT ON DATABASE private FROM PUBLIC
"""


@pytest.fixture(scope="module")
def strict(pg_binaries: PostgresBinaries) -> Iterator[PostgresServer]:
    """A server with few slots, a pg_hba.conf with rules, and roles for each refusal."""
    settings: dict[str, str | int] = {"max_connections": 4, "superuser_reserved_connections": 1}
    with postgres(bindir=pg_binaries.bindir, settings=settings) as server:
        run(server.dsn(), *SETUP.strip().splitlines())
        (server.data / "pg_hba.conf").write_text(HBA)
        run(server.dsn(), "SELECT pg_reload_conf()")
        until(lambda: look(server.dsn("rejected"), 0.0).records[0].reach.category == "auth")
        yield server


def refused(dsn: str, window: float = 0.0) -> Reach:
    """How a scan was refused: one clear line, no crash, within generous fifteen seconds."""
    snapshot = look(dsn, window)
    (record,) = snapshot.records
    assert record.failures == ()
    assert not record.reach.ok
    assert record.reach.message
    assert "\n" not in record.reach.message + record.reach.enable
    assert snapshot.seconds < 15
    return record.reach


class Case(NamedTuple):
    """A login, and what becomes of it."""

    user: str
    database: str
    password: str
    category: str
    code: str
    words: str


CASES = {
    "wrong password": Case("guarded", "postgres", "wrong", "auth", "28P01", "guarded"),
    "no password": Case("guarded", "postgres", "", "auth", "28P01", "no password"),
    "rejected by pg_hba": Case("rejected", "postgres", "", "auth", "28000", "pg_hba.conf"),
    "not in pg_hba": Case("stranger", "postgres", "", "auth", "28000", "no pg_hba.conf entry"),
    "unknown role": Case("absent", "postgres", "", "auth", "28000", "does not exist"),
    "may not log in": Case("sleeper", "postgres", "", "auth", "28000", "not permitted"),
    "role limit": Case("limited", "postgres", "", "limit", "53300", "limited"),
    "database limit": Case("plain", "full_up", "", "limit", "53300", "full_up"),
    "unknown database": Case("plain", "nowhere", "", "database", "3D000", "nowhere"),
    "closed database": Case("plain", "closed", "", "database", "55000", "not currently accepting"),
    "no CONNECT": Case("plain", "private", "", "auth", "42501", "permission denied"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_server_says_no(strict: PostgresServer, case: Case) -> None:
    """Each refusal of a login has its category, its code and the server's own words."""
    secret = f":{case.password}" if case.password else ""
    dsn = f"postgresql://{case.user}{secret}@127.0.0.1:{strict.port}/{case.database}"
    reach = refused(dsn)
    assert (reach.category, reach.code) == (case.category, case.code)
    assert case.words in reach.message
    assert reach.enable or case.category == "limit"


def test_the_right_password_lets_us_in(strict: PostgresServer) -> None:
    """scram-sha-256 works, and the password is nowhere in the snapshot."""
    dsn = f"postgresql://guarded:right%20horse@127.0.0.1:{strict.port}/postgres"
    snapshot = look(dsn, 0.0)
    assert snapshot.records[0].reach.ok
    assert "horse" not in repr(snapshot)


def test_the_slots_are_gone(strict: PostgresServer) -> None:
    """First the reserved one is kept from us, then there is none at all."""
    held = [psycopg.connect(strict.dsn("plain")) for _ in range(3)]
    try:
        reserved = refused(strict.dsn("plain"))
        held.append(psycopg.connect(strict.dsn()))
        gone = refused(strict.dsn())
    finally:
        for connection in held:
            connection.close()
    for reach, words in ((reserved, "reserved"), (gone, "too many clients")):
        assert (reach.category, reach.code) == ("slots", "53300")
        assert words in reach.message


def test_tls_is_not_offered(strict: PostgresServer) -> None:
    """The DSN asks for TLS, the server has none."""
    assert refused(strict.dsn(sslmode="require")).category == "tls"


def certificate(folder: Path, name: str) -> None:
    """A self-signed certificate for another host, owned as the folder is."""
    key, crt = folder / "server.key", folder / "server.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]  # fmt: skip
    subject = ["-subj", f"/CN={name}", "-keyout", str(key), "-out", str(crt)]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    key.chmod(0o600)
    owner = folder.stat()
    for path in (key, crt):
        os.chown(path, owner.st_uid, owner.st_gid)


def test_a_certificate_that_does_not_fit(tmp_path: Path) -> None:
    """Signed by somebody else, and made for another host; without checks TLS is fine."""
    with postgres(bindir=postgres_binaries(15).bindir) as server:
        certificate(server.data, "elsewhere")
        certificate(tmp_path, "another")
        run(server.dsn(), "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        until(lambda: look(server.dsn(sslmode="require"), 0.0).records[0].reach.ok)
        other, own = str(tmp_path / "server.crt"), str(server.data / "server.crt")
        stranger = refused(server.dsn(sslmode="verify-ca", sslrootcert=other))
        elsewhere = refused(server.dsn(sslmode="verify-full", sslrootcert=own))
    assert stranger.category == elsewhere.category == "tls"
    assert "certificate" in stranger.message
    assert "elsewhere" in elsewhere.message


def test_a_server_that_shuts_down(pg_binaries: PostgresBinaries) -> None:
    """It waits for its last session to end and lets nobody else in; then nothing listens."""
    with postgres(bindir=pg_binaries.bindir) as server, psycopg.connect(server.dsn()):
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: not look(server.dsn(), 0.0).records[0].reach.ok)
        reach = refused(server.dsn())
    assert (reach.category, reach.code) == ("recovery", "57P03")
    assert "shutting down" in reach.message
    for dsn in (server.dsn(), f"host={server.data.parent} port={server.port}"):
        reach = refused(dsn)
        assert reach.category == "refused"
        assert "is the server running" in reach.enable


def test_a_standby_that_takes_no_queries(shop: PostgresServer) -> None:
    """A warm standby is a server in recovery."""
    with standby_of(shop, settings={"hot_standby": "off"}) as standby:
        reach = refused(standby.dsn())
    assert (reach.category, reach.code) == ("recovery", "57P03")
    assert "not accepting connections" in reach.message


def test_a_host_that_nobody_knows() -> None:
    """RFC 2606: .invalid is never resolved; the host's name decides nothing."""
    for host in ("no-such-host.invalid", "tls.certificate.invalid"):
        reach = refused(f"postgresql://u@{host}/x")
        assert reach.category == "dns"
        assert host in reach.message


def test_something_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts and says nothing."""
    monkeypatch.setattr(_connect, "CONNECT_TIMEOUT", 2)
    with listener(None) as port:
        reach = refused(f"postgresql://u@127.0.0.1:{port}/x", window=1.0)
    assert reach.category == "timeout"
    assert reach.message == "no answer within 2 s"


HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"  # what nginx says to a start-up


@pytest.mark.parametrize("mode", ["prefer", "disable", "require"])
def test_a_web_server_is_no_postgresql(mode: str) -> None:
    """Whatever we ask it first."""
    with listener(HTTP) as port:
        reach = refused(f"postgresql://u@127.0.0.1:{port}/x?sslmode={mode}")
    assert reach.category == "protocol"
    assert "not PostgreSQL" in reach.message


def test_something_that_hangs_up() -> None:
    """It accepts and closes."""
    with listener(b"") as port:
        reach = refused(f"postgresql://u@127.0.0.1:{port}/x")
    assert reach.category == "refused"
    assert "hangs up" in reach.enable


@pytest.mark.parametrize("dsn", ["host=127.0.0.1 port=99999", "sslmode=x", "service=none"])
def test_a_dsn_with_a_wrong_value(dsn: str) -> None:
    """libpq says which part it is."""
    assert refused(dsn).category == "dsn"


@pytest.mark.parametrize("secret", ["pa@ss", "pa/ss", "12/ss"])
def test_a_password_that_cuts_the_url(secret: str) -> None:
    """What libpq would take for the host is not printed."""
    with pytest.raises(ScaledoctorError, match="%40") as error:
        targets({"dsn": [f"postgresql://u:{secret}@127.0.0.1:5432/x"]}, {})
    assert "ss" not in str(error.value).replace("password", "").replace("PGPASSWORD", "")


# Words of servers that are not started here, and of states that pass too quickly to be met.
WORDS = {
    "FATAL:  the database system is starting up": ("recovery", "57P03"),
    "FATAL:  the database system is in recovery mode": ("recovery", "57P03"),
    "FATAL:  the database system is not yet accepting connections": ("recovery", "57P03"),
    'FATAL:  remaining connection slots are reserved for roles with privileges of the "pg_use_'
    'reserved_connections" role': ("slots", "53300"),
    "FATAL:  server login failed: FATAL sorry, too many clients already": ("slots", "53300"),
    'FATAL:  database "too many clients already" does not exist': ("database", "3D000"),
    "FATAL:  Passwort-Authentifizierung fehlgeschlagen": ("refused", ""),
}


@pytest.mark.parametrize(("text", "expected"), WORDS.items(), ids=WORDS.keys())
def test_words(text: str, expected: tuple[str, str]) -> None:
    """The server's line decides, not the place or the names in it."""
    found = refusal(f'connection to server at "ssl.example.com", port 1 failed: {text}')
    assert (found.category, found.code) == expected
    assert found.message == text.removeprefix("FATAL:  ")


def test_a_pooler_in_statement_mode(pg18: PostgresServer, start_pgbouncer: StartPgBouncer) -> None:
    """No guard can be set through it: one line says so."""
    reach = refused(start_pgbouncer(pg18, "statement").dsn(), window=1.0)
    assert reach.category == "pooler"
    assert "statement mode" in reach.message


def test_a_pooler_that_is_full(pg18: PostgresServer, start_pgbouncer: StartPgBouncer) -> None:
    """It turns clients away, or its only server connection is taken and it lets us wait."""
    pooler = start_pgbouncer(pg18, ini={"max_client_conn": 1})
    with session(pooler.dsn(), "SELECT 1"):
        assert refused(pooler.dsn()).category == "pooler"
    pooler = start_pgbouncer(pg18, ini={"default_pool_size": 1, "query_wait_timeout": 1})
    with session(pooler.dsn(), "SELECT 1"):
        reach = refused(pooler.dsn())
    assert reach.category == "pooler"
    assert "SHOW POOLS" in reach.enable


def test_a_pooler_that_lets_us_wait(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We are logged in, and the first statement is not answered."""
    monkeypatch.setattr(_wire, "PATIENCE", 0.5)
    pooler = start_pgbouncer(pg18, ini={"default_pool_size": 1})
    with session(pooler.dsn(), "SELECT 1"):
        reach = refused(pooler.dsn())
    assert reach.category == "timeout"
    assert "logged in" in reach.message
    assert "SHOW POOLS" in reach.enable


def test_a_pooler_without_its_server(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server behind it has stopped: the pooler keeps us waiting before it says so."""
    monkeypatch.setattr(_connect, "CONNECT_TIMEOUT", 2)
    with postgres(bindir=pg18.bindir) as server:
        pooler = start_pgbouncer(server)
    reach = refused(pooler.dsn())
    assert reach.category in ("pooler", "timeout")


def test_a_poolers_console_is_no_database(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """It is told from a database, with the option that it belongs to."""
    reach = refused(start_pgbouncer(pg18).dsn("stats", "pgbouncer"))
    assert reach.category == "pooler"
    assert "--pgbouncer" in reach.enable


def test_a_pooler_that_refuses_options(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """We send none; what is in the DSN is refused with the remedy."""
    pooler = start_pgbouncer(pg18, ini={"ignore_startup_parameters": "extra_float_digits"})
    assert look(pooler.dsn(), 0.0).records[0].reach.ok
    assert "options=" in refused(pooler.dsn(options="-c work_mem=8MB")).enable
