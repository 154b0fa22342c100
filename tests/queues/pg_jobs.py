"""An application whose jobs procrastinate keeps in PostgreSQL, through sessions without a name."""

import sys
import time

import procrastinate
import psycopg


def app_of(dsn: str, connector: procrastinate.BaseConnector | None = None) -> procrastinate.App:
    """The application with its tasks on that database; not opened yet."""
    app = procrastinate.App(connector=connector or procrastinate.SyncPsycopgConnector(conninfo=dsn))

    @app.task(queue="mail", name="nap")
    def nap(seconds: float) -> None:
        time.sleep(seconds)

    @app.task(queue="mail", name="fail")
    def fail() -> None:
        raise ValueError("it was to fail")

    @app.task(queue="mail", name="take_stock")
    def take_stock() -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute("UPDATE stock SET n = n - 1 WHERE id = 1")

    return app


def work(dsn: str, slots: int) -> None:
    """Run a worker until it is killed; it polls, so that it takes jobs as fast as it can."""
    connector = procrastinate.PsycopgConnector(conninfo=dsn)
    app_of(dsn, connector).run_worker(
        concurrency=slots, listen_notify=False, fetch_job_polling_interval=0.05
    )


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
