"""MySQL 5.7 and later, MariaDB 10.5 and later: each fact stands next to the query that fills it."""

from scaledoctor.sources.mysql.digests import MysqlDigest, MysqlDigests
from scaledoctor.sources.mysql.locks import MysqlLocks, MysqlTransaction, MysqlWait
from scaledoctor.sources.mysql.server import MysqlServer
from scaledoctor.sources.mysql.status import MysqlStatus
from scaledoctor.sources.mysql.threads import MysqlThread, MysqlThreads

__all__ = [
    "MysqlDigest",
    "MysqlDigests",
    "MysqlLocks",
    "MysqlServer",
    "MysqlStatus",
    "MysqlThread",
    "MysqlThreads",
    "MysqlTransaction",
    "MysqlWait",
]
