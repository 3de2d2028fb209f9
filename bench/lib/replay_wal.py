# SPDX-License-Identifier: PostgreSQL
"""What is replayed: a base backup, the WAL behind it in the form of each archive, and what a server has then."""
from lib.process import tell
from lib.ways import Archives

# Random pages with full page images, as a busy server writes them, then a table that is loaded in bulk.
MIXED = "mixed"
# One table loaded in bulk, into much shared memory, without fsync: replay is quick, so restore_command counts.
QUICK = "quick"
LOADS = {MIXED: {"shared_buffers": "512MB", "fsync": "on"}, QUICK: {"shared_buffers": "3GB", "fsync": "off"}}

BULK = """
create table bulk(id bigint, digest text, document text);
alter table bulk alter digest set storage plain, alter document set storage plain;
create procedure bulk_load(first bigint, rows int) language sql as $$
    insert into bulk select g, md5(g::text) || md5((g + 1)::text) || md5((g * 7)::text),
        repeat('{"name": "' || (g % 1000) || '", "value": ' || g || '}, ', 24) from generate_series(first, first + rows - 1) g
$$
"""
QUESTION = ("select (select count(*) from bulk), (select coalesce(sum(id), 0) from bulk), "
            "(select count(*) from pgbench_history), (select sum(abalance) from pgbench_accounts)")
BULK_ROWS = 20000


class Wal:
    def __init__(self, work, programs, primary, load, megabytes, ways):
        self.primary, self.settings = primary, LOADS[load]
        primary.make_folder(work / "replay")
        self.backup, self.data = work / "backup", work / "replay" / "data"
        self.archives = Archives(work, programs, primary, self.data)
        self.question = QUESTION
        tell(f"making WAL, {load}")
        primary.fill()
        primary.begin_load(BULK)
        primary.make_folder(self.backup)
        primary.call("pg_basebackup", "-D", self.backup, "-X", "none", "-c", "fast", "--no-sync", "-d", primary.conninfo)
        self.begin = self.redo_start()
        half = megabytes // 2 if load == MIXED else 0
        if half:
            self.transactions(half)
        self.bulk(megabytes)
        self.last_commit = primary.sql("select pg_current_wal_insert_lsn()")
        primary.sql("checkpoint")
        self.answer = primary.sql(self.question)
        end = primary.close_segment()
        self.bytes = int(primary.sql(f"select '{end}'::pg_lsn - '{self.begin}'::pg_lsn"))
        self.archives.make(ways)

    def redo_start(self):
        text = (self.backup / "backup_label").read_text(encoding="utf-8")
        return text.split("START WAL LOCATION: ", 1)[1].split()[0]

    def behind(self):
        return int(self.primary.sql(f"select pg_current_wal_insert_lsn() - '{self.begin}'::pg_lsn")) >> 20

    def transactions(self, megabytes):
        """With a checkpoint at half of it, so that full pages are written twice."""
        for goal in (megabytes // 2, megabytes):
            while self.behind() < goal:
                self.primary.transactions(min(megabytes * 50, 50000))
            self.primary.sql("checkpoint")

    def bulk(self, megabytes):
        first = 1
        while self.behind() < megabytes:
            self.primary.sql(f"call bulk_load({first}, {BULK_ROWS})")
            first += BULK_ROWS
