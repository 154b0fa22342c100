"""What the checks of pgbouncer.ini share: where a setting stands, and a finding about it."""

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity
from scaledoctor.sources.pgbouncer_ini import PoolerIni
from scaledoctor_checks.pooling._words import RELOAD

_ALWAYS = """
admin_users application_name_add_host auth_file auth_hba_file auth_query auth_type auth_user
autodb_idle_timeout client_idle_timeout client_login_timeout client_tls_ca_file
client_tls_cert_file client_tls_ciphers client_tls_dheparams client_tls_ecdhcurve
client_tls_key_file client_tls_protocols client_tls_sslmode conffile default_pool_size
disable_pqexec dns_max_ttl dns_nxdomain_ttl dns_zone_check_period idle_transaction_timeout
ignore_startup_parameters job_name listen_addr listen_backlog listen_port log_connections
log_disconnections log_pooler_errors log_stats logfile max_client_conn max_db_connections
max_packet_size max_user_connections min_pool_size pidfile pkt_buf pool_mode query_timeout
query_wait_timeout reserve_pool_size reserve_pool_timeout resolv_conf sbuf_loopcnt
server_check_delay server_check_query server_connect_timeout server_fast_close
server_idle_timeout server_lifetime server_login_retry server_reset_query
server_reset_query_always server_round_robin server_tls_ca_file server_tls_cert_file
server_tls_ciphers server_tls_key_file server_tls_protocols server_tls_sslmode service_name
so_reuseport stats_period stats_users suspend_timeout syslog syslog_facility syslog_ident
tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl tcp_socket_buffer
tcp_user_timeout unix_socket_dir unix_socket_group unix_socket_mode user verbose
"""

NAMES: dict[str, int] = {
    **dict.fromkeys(_ALWAYS.split(), 15),
    **dict.fromkeys(("auth_dbname", "cancel_wait_timeout", "peer_id"), 19),
    "track_extra_parameters": 20,
    "max_prepared_statements": 21,
    "auth_ident_file": 23,
    **dict.fromkeys(("max_db_client_connections", "max_user_client_connections"), 24),
    **dict.fromkeys(
        (
            "auth_ldap_options", "client_tls13_ciphers", "query_wait_notify", "scram_iterations",
            "server_tls13_ciphers", "transaction_timeout",
        ),
        25,
    ),
    **dict.fromkeys(("login_notify_message", "pool_idle_timeout"), 26),
}  # fmt: skip
"""Settings of [pgbouncer] and the minor version of 1.x that has them first (15: or before),
extracted from main.c of every release."""


def place(ini: PoolerIni, name: str) -> str:
    """file:line of a setting, or the file when it is not set."""
    line = ini.setting(name)
    return line.where if line else f"{ini.file} (not set)"


def risk(
    ini: PoolerIni,
    name: str,
    summary: str,
    severity: Severity,
    wanted: str,
    *,
    value: str,
    why_not: str,
    limit: float | str | None = None,
    first: tuple[str, ...] = (),
) -> Finding:
    """A finding about one setting of [pgbouncer]: what it is, and what it should be.

    ``first`` are comments above the new line, ``why_not`` is the risk of the change.
    """
    where, old = place(ini, name), ini.setting(name)
    return Finding(
        subject=name,
        summary=f"{where}: {summary}",
        severity=severity,
        evidence=(Evidence(name, value, threshold=limit, source=where),),
        fixes=(
            Fix(
                f"Set {name}",
                # No head: a second [pgbouncer] resets all settings of the first.
                (f"; {where}, in its section [pgbouncer]", *first, f"{name} = {wanted}", RELOAD),
                language="ini",
                risk=why_not,
                verify=f"SHOW CONFIG; on the console: {name} is {wanted}",
                undo=f"{name} = {old.value}" if old else f"take {name} out again",
            ),
        ),
        kind=Kind.RISK,
    )
