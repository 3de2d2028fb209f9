# SPDX-License-Identifier: PostgreSQL
"""Servers of every major version: their programs, and WAL of as many kinds as SQL alone can make."""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .packages import OptionalUnavailable, Unavailable
from .postgres import BINDIR

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "pg-majors.sh"
ALL = range(10, 20)
USUAL = (10, 13, 15, 17, 18, 19)
DEBIANS = (13, 15, 17, 18, 19)  # the others come through npm, which needs a registry of its own
INSTALLED = 15
# Durability of these servers is not what is looked at; one core serves several of them.
CHEAP = {"fsync": "off", "max_prepared_transactions": "5", "track_commit_timestamp": "on"}


def chosen(text):
    """The majors that an option names: "all", or numbers with commas; nothing: the usual ones."""
    if text == "all":
        return list(ALL)
    found = [int(n) for n in text.split(",")] if text else list(USUAL)
    assert set(found) <= set(ALL), f"no such major version in {text}"
    return found


@functools.lru_cache(maxsize=None)
def _set_up(major):
    """None, or why there is no such server here: asked for once in a process."""
    if not shutil.which("apt-get"):
        return Unavailable("no apt-get")
    try:
        done = subprocess.run([str(SCRIPT), "setup", str(major)], env=_environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500, check=False)
    except subprocess.TimeoutExpired as error:
        return _kind(major)(f"major {major}: {error}")
    if done.returncode != 0:
        return _kind(major)(f"major {major} cannot be set up: {done.stdout.strip()[-300:]}")
    return None


def _kind(major):
    return Unavailable if major in DEBIANS else OptionalUnavailable


def _environment():
    env = dict(os.environ)
    env.setdefault("PG_MAJORS_DIR", str(Path(tempfile.gettempdir()) / "pg-majors"))
    return env


def programs_of(major):
    """The folder with the server programs of a major version."""
    if major == INSTALLED:
        return BINDIR
    reason = _set_up(major)
    if reason is not None:
        raise reason
    out = subprocess.run([str(SCRIPT), "bindir", str(major)], env=_environment(), stdout=subprocess.PIPE, text=True,
                         check=True)
    return Path(out.stdout.strip())


def tools_of(major, bindir):
    """The folder of a pg_basebackup for this server: its own, or a newer one. Some majors come as the
    server alone."""
    for candidate in (bindir, BINDIR if major <= INSTALLED else programs_of(17)):
        if (candidate / "pg_basebackup").exists():
            return candidate
    raise Unavailable(f"no pg_basebackup for {major}")


def compressions(server):
    """The values of wal_compression that make this server compress."""
    values = server.sql("select array_to_string(enumvals, ' ') from pg_settings where name = 'wal_compression'")
    return sorted(set(values.split()) - {"off", "on", "no", "yes", "true", "false", "0", "1"}) or ["on"]


def write_all_kinds(server):
    """WAL of every access method, each form of commit record, full pages in each compression, and a
    record that is larger than a message of the protocol."""
    server.script("""
        create table kinds(a int, b int[], c text, p point);
        create unique index on kinds(a);
        create index on kinds using hash(a);
        create index on kinds using gin(b);
        create index on kinds using gist(p);
        create index on kinds using spgist(p);
        create index on kinds using brin(a);
        insert into kinds select g, array[g % 7, g], repeat(md5(g::text), 10), point(g, -g) from generate_series(1, 1000) g;
        begin;
        insert into kinds values (-1);
        savepoint one;
        insert into kinds values (-2);
        savepoint two;
        insert into kinds values (-3);
        rollback to two;
        insert into kinds values (-4);
        release one;
        drop index kinds_b_idx;
        commit;
        begin;
        update kinds set c = 'x' where a = 1;
        prepare transaction 'kept';
        commit prepared 'kept';
        begin;
        delete from kinds where a = 2;
        prepare transaction 'dropped';
        rollback prepared 'dropped';
        begin;
        select from kinds where a = 3 for key share;
        savepoint one;
        update kinds set c = 'y' where a = 3;
        rollback;
        do $$ begin perform pg_replication_origin_create('elsewhere'); end $$;
        do $$ begin perform pg_replication_origin_session_setup('elsewhere'); end $$;
        begin;
        do $$ begin perform pg_replication_origin_xact_setup('0/123', now()); end $$;
        insert into kinds values (-5);
        commit;
        do $$ begin perform pg_replication_origin_session_reset(); end $$;
        do $$ begin perform pg_logical_emit_message(false, 'large', repeat(md5(random()::text), 12000)); end $$;
        do $$ begin perform pg_create_restore_point('here'); end $$;
        create unlogged table scratch as select generate_series(1, 100) g;
        alter table scratch set logged;
        create materialized view seen as select count(*) from kinds;
        refresh materialized view seen;
        create sequence numbers;
        do $$ begin perform nextval('numbers') from generate_series(1, 100); end $$;
        create database other;
        delete from kinds where a % 3 = 0;
        vacuum kinds;
        cluster kinds using kinds_a_idx;
        truncate scratch;
        drop database other;
    """)
    for method in compressions(server):
        server.script(f"""
            set wal_compression = '{method}';
            checkpoint;
            update kinds set c = c || 'z' where a % 2 = 0;
        """)
