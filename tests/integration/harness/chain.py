# SPDX-License-Identifier: PostgreSQL
"""Three servers that were primary one after the other, received by one receiver per codec, and what each of them
had at certain moments.

    timeline 1  a ──┬─ (a is shut down)
    timeline 2      └── b ──┬── b goes on for a while: a dead end, archived
    timeline 3              └── c, whose last commits are in the open segment
"""

from .recovery import Moment, rows
from .util import lsn, lsn_text, wait_until

CODECS = {"none": None, "gzip": "gzip:1", "lz4": "lz4", "zstd": "zstd:1"}


def all_of(*servers):
    return ("host=" + ",".join("127.0.0.1" for _ in servers) + " port=" + ",".join(str(s.port) for s in servers) +
            " user=postgres target_session_attrs=read-write")


def replayed(primary, standby):
    goal = primary.sql("select pg_current_wal_flush_lsn()")
    wait_until(lambda: standby.sql(f"select pg_last_wal_replay_lsn() >= '{goal}'") == "t", "the standby has everything")


class Chain:
    def __init__(self, world, walrx, codecs=None):
        self.world, self.walrx = world, walrx
        self.moments = []
        self.whole = []  # names of segments, one on each timeline, that are full of records
        self.archives, self.receivers = {}, {}
        self.a = a = world.server("a")
        self.b, self.c = world.standby(a, "b"), world.standby(a, "c")
        for name, compress in (codecs or CODECS).items():
            self.archives[name] = world.archive(name)
            self.receivers[name] = world.receive(walrx, self.archives[name], all_of(a, self.b, self.c), "--synchronous",
                                                 compress=compress, PGAPPNAME=name)
        self._wait_streaming(a)
        a.insert(rows=30)
        self.backup = world.base / "backup"
        a.base_backup(self.backup, wal="none")
        self._first()
        self._second()
        self._third()

    # -- the story -----------------------------------------------------------------------------

    def _first(self):
        a = self.a
        a.insert(rows=20)
        a.switch()
        self._xid(a)
        self._time(a, 1)
        self._whole_segments(a)
        self._point(a)
        a.insert(rows=20)
        replayed(a, self.b)
        replayed(a, self.c)
        a.stop("fast")
        self.b.promote()
        self.c.sql(f"alter system set primary_conninfo = '{self.b.conninfo(application_name='c')}'")
        self.c.reload()
        self._wait_streaming(self.b)

    def _second(self):
        b = self.b
        b.insert(rows=20)
        self._time(b, 2)
        b.insert(rows=20)
        b.switch()
        self._lsn(b)
        self._whole_segments(b)
        b.switch()
        self.complete_rows = rows(b)
        b.insert(rows=20)
        replayed(b, self.c)
        self.c.promote()
        b.insert(rows=7)  # nobody else has these
        self.dead_rows = rows(b)
        self._wait_durable(b)
        assert b.flush_lsn() // b.segsize == lsn(self._fork_of(3)) // b.segsize, "the dead end is no open segment"
        b.kill9()
        self._wait_streaming(self.c)

    def _third(self):
        c = self.c
        c.insert(rows=20)
        c.switch()
        self._time(c, 3)
        self._whole_segments(c)
        c.insert(rows=20)
        self._wait_durable(c)
        self.moments.append(Moment("latest", {"recovery_target_timeline": "latest"}, rows(c), timeline=4))
        self.moments += [
            Moment("the dead end of timeline 2", {"recovery_target_timeline": "2"}, self.dead_rows, ("--partial=always",), 4),
            Moment("timeline 2 without its open segment", {"recovery_target_timeline": "2"}, self.complete_rows,
                   timeline=4, words=("is not restored: timeline 3 has this segment complete", "use --partial=always"))]
        self.newest = c.segment()
        self.end = c.flush_lsn()
        for it in self.receivers.values():
            assert it.stop() == 0
        c.stop("immediate")

    # -- its parts -----------------------------------------------------------------------------

    def _whole_segments(self, server):
        """Two of them without a switch, so that there is WAL in every byte; the first is noted."""
        first = server.flush_lsn() // server.segsize + 1
        server.insert(rows=int(server.segsize * 2.2) // 1100, width=1024)
        assert server.flush_lsn() // server.segsize > first
        self.whole.append(server.segment(lsn_text(first * server.segsize)))

    def _time(self, server, timeline):
        server.insert(rows=3)
        at = server.sql("select clock_timestamp()")
        server.sql("select pg_sleep(0.002)")
        self._target(f"a time on timeline {timeline}", rows(server), recovery_target_time=at)
        server.insert(rows=3)

    def _point(self, server):
        server.insert(rows=3)
        server.sql("select pg_create_restore_point('before the release')")
        self._target("a restore point", rows(server), recovery_target_name="before the release")
        server.insert(rows=3)

    def _lsn(self, server):
        server.insert(rows=3)
        at = server.sql("select pg_current_wal_insert_lsn()")
        self._target("a position", rows(server), recovery_target_lsn=at)
        server.insert(rows=3)

    def _xid(self, server):
        xid = server.script("begin; insert into load(filler) values ('the one'); select txid_current(); commit;").strip()
        self._target("a transaction", rows(server), recovery_target_xid=xid)
        server.insert(rows=3)

    def _target(self, name, want, **settings):
        self.moments.append(Moment(name, {**settings, "recovery_target_timeline": "latest"}, want, timeline=4))

    def _fork_of(self, timeline):
        path = self.c.wal_dir / f"{timeline:08X}.history"
        return path.read_text().splitlines()[-1].split()[1]

    def _senders(self, server, condition):
        return server.number("select count(*) from pg_stat_replication where application_name in "
                             f"({', '.join(repr(name) for name in self.receivers)}) and {condition}")

    def _wait_streaming(self, server):
        wait_until(lambda: self._senders(server, "state = 'streaming'") == len(self.receivers), "all receivers stream", 60)

    def _wait_durable(self, server):
        goal = server.sql("select pg_current_wal_flush_lsn()")
        wait_until(lambda: self._senders(server, f"flush_lsn >= '{goal}'") == len(self.receivers), f"all have {goal}", 60)
