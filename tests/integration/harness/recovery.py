# SPDX-License-Identifier: PostgreSQL
"""Servers that recover from a walrx archive, and what they are compared with: the primary's rows at the
moments that are recovered to."""

import shlex
import shutil
from dataclasses import dataclass, field

from .postgres import Postgres, copy_cluster
from .util import wait_until

ROWS = "select id, md5(filler) from load order by id"


def command(walrx, directory, *options):
    """The restore_command."""
    words = [str(walrx.command[0]), "restore", "-D", str(directory), *options]
    return " ".join(shlex.quote(word) for word in words) + " %f %p"


def rows(server):
    """Each row of the load, to be compared one by one."""
    return server.sql(ROWS).splitlines()


def assert_same_rows(server, want, what=""):
    have = rows(server)
    if have != want:
        lost, new = sorted(set(want) - set(have)), sorted(set(have) - set(want))
        raise AssertionError(f"{what}: {len(have)} rows instead of {len(want)}; {len(lost)} are missing ({lost[:3]}), "
                             f"{len(new)} should not be there ({new[:3]})")


@dataclass
class Moment:
    """A target and what a server that was recovered to it must have."""
    name: str
    settings: dict
    rows: list
    options: tuple = ()     # of walrx restore
    timeline: int = 0       # the new one
    words: tuple = ()       # in the server's log
    server: Postgres = field(default=None, repr=False)


def recovering(world, like, backup, restore_command, signal_file="recovery.signal", wait=True, name=None, conf=None,
               **settings):
    """A server that recovers from a copy of the backup; started."""
    server = Postgres(world.base, name or f"new{len(world.servers)}", world.templates, segsize_mb=like.segsize >> 20,
                      bindir=like.bindir, tools=like.tools, conf={"fsync": "off", **(conf or {})},
                      data_from=lambda data: copy_cluster(backup, data))
    world.servers.append(server)
    server.configure(wal_retrieve_retry_interval="100ms", synchronous_standby_names="")
    server.recover(signal_file, restore_command=restore_command, **settings)
    return server.start(wait)


def is_out_of_recovery(server):
    assert server.process.poll() is None, f"server {server.name} ended\n{server.log_tail()}"
    return server.sql("select pg_is_in_recovery()", check=False) == "f"


def remove(world, server):
    """Stopped and gone, so that many of them need no room."""
    server.cleanup()
    world.servers.remove(server)
    shutil.rmtree(server.base, ignore_errors=True)


def assert_moments(world, like, backup, walrx, directory, moments):
    """A server for each moment, all at the same time: most of a recovery is waiting."""
    for moment in moments:
        settings = {"recovery_target_action": "promote"} if set(moment.settings) - {"recovery_target_timeline"} else {}
        moment.server = recovering(world, like, backup, command(walrx, directory, *moment.options), wait=False,
                                   **settings, **moment.settings)
    for moment in moments:
        wait_until(lambda m=moment: is_out_of_recovery(m.server), f"the end of recovery to {moment.name}", 90, 0.1)
        assert_same_rows(moment.server, moment.rows, moment.name)
        assert moment.server.timeline() == moment.timeline, moment.name
        log = moment.server.log_path.read_text()
        for word in moment.words:
            assert word in log, log
        remove(world, moment.server)


def assert_refused(server, *words, fatal="could not restore file"):
    """The server ended with FATAL, never took a connection for writing, and its log says why."""
    wait_until(lambda: server.process.poll() is not None, "the server ends", 60)
    log = server.log_path.read_text()
    assert server.process.returncode != 0
    server.process = None
    assert f"FATAL:  {fatal}" in log and "database system is ready to accept connections" not in log, log
    assert "selected new timeline" not in log, log
    for word in words:
        assert word in log, f"{word!r} not in:\n{log}"
