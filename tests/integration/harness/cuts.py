# SPDX-License-Identifier: PostgreSQL
"""One cut after the other on the same archive, and what must be true behind each.

Before the receiver runs again, the archive as the disk kept it is compared with the primary's WAL up
to the newest position that the primary was told: the flush position read right before the cut, and
the slot's restart_lsn once the receiver is gone. Then the receiver has to catch up by itself.
"""

import errno
import os
import random
import re
import time

import psycopg2

from . import archive as ar
from .util import clean_env, lsn, lsn_text, run, wait_until

CODECS = ("none", "gzip", "lz4", "zstd")
# What happens at the same moment: the power of the archive's disk goes, kill -9 of the receiver, kill -9
# of the primary. Without the kill the receiver lives on with a dead disk, and must end by itself.
EVENTS = ("cut", "kill", "cut+kill", "cut+primary", "kill+primary", "cut+kill+primary")
# What calls say on a filesystem that has shut down; some of ext4 the second.
DEAD = "|".join(os.strerror(number) for number in (errno.EIO, errno.EROFS))
REPORTED = ("select coalesce((select max(flush_lsn) from pg_stat_replication where application_name = 'recv'), '0/0'), "
            "(select restart_lsn from pg_replication_slots where slot_name = 'arch')")


class Lost(AssertionError):
    """Bytes that the primary was told are safe are not in the archive."""


def segment_name(timeline, number, segsize):
    per_4gb = 0x100000000 // segsize
    return f"{timeline:08X}{number // per_4gb:08X}{number % per_4gb:08X}"


def holds(directory, wal_dir, timeline, start, upto, segsize):
    """Everything from start (of a segment) to upto is there, as the server has it; returns the bytes.

    A file under a final name must be whole and right, wherever upto is.
    """
    assert start % segsize == 0
    for number in range(start // segsize, -(-upto // segsize)):
        name = segment_name(timeline, number, segsize)
        length = min(segsize, upto - number * segsize)
        theirs = (wal_dir / name).read_bytes()
        complete = [p for p in (directory / (name + s) for s in ar.DECOMPRESS) if p.exists()]
        try:
            for path in complete:
                ar.assert_same_bytes(path.name, ar.content(path), theirs)
            if not complete:
                raw = (directory / f"{name}.partial").read_bytes()
                ar.assert_same_bytes(f"{name}.partial", raw[:length], theirs[:length])
        except (AssertionError, FileNotFoundError) as error:
            raise Lost(f"flushed up to {lsn_text(upto)} (byte {length} of {name}), but {error}; "
                       f"there is {ar.listing(directory)[-6:]}") from None
    return upto - start


def verify(program, directory, home):
    """walrx verify finds nothing."""
    done = run([program.command[0], "verify", "-D", directory], env=clean_env(home), check=False, timeout=600)
    assert done.returncode == 0, f"walrx verify: exit {done.returncode}\n{done.stdout}{done.stderr}"


class CutArchive:
    """An archive on a disk whose power can be cut, its receiver, and the primary under load."""

    def __init__(self, world, program, disk, server, clients, seed, tell=lambda text: None, args=(), env=None):
        self.world, self.program, self.disk, self.server, self.clients = world, program, disk, server, clients
        self.chance = random.Random(seed)
        self.tell = tell
        self.args, self.env = list(args), env or {}
        self.series = 0
        self.deck = []
        self.events = []    # (event, codec, synchronous) of each
        self.compared = 0   # bytes below a reported position that were found after a cut
        self.slowest = 0.0  # seconds from the start of the receiver to everything flushed
        self.asker = None
        self.receiver = None
        self.begin_archive()

    def begin_archive(self):
        """An empty directory and a slot of its own."""
        self.series += 1
        self.directory = self.disk.make_dir(f"archive{self.series}")
        self.server.create_slot("keep")  # what the archive is compared with stays on the primary
        self.server.create_slot("arch")
        self.told = lsn(self.server.slot("arch"))
        self.start = self.told // self.server.segsize * self.server.segsize
        self.begun = self.told

    def end_archive(self):
        """The receiver stops; all of the archive is compared, and verified, and goes."""
        self.settle(all_of_it=True)
        assert self.receiver.stop() == 0, self.receiver.log()
        self.drop_archive()

    def drop_archive(self):
        self.close_asker()
        if self.receiver.running():
            self.receiver.kill9()
        wait_until(lambda: self.server.slot("arch", "active") == "f", "the slot is free", 30)
        self.server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
        for path in sorted(self.directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.directory.rmdir()

    # -- positions -----------------------------------------------------------------------------

    def close_asker(self):
        if self.asker is not None:
            self.asker.close()
            self.asker = None

    def ask(self):
        """The newest position that the primary was told: (flush_lsn, restart_lsn)."""
        if self.asker is None:
            self.asker = psycopg2.connect(self.server.conninfo(dbname="postgres", application_name="asker"))
            self.asker.autocommit = True
        with self.asker.cursor() as cursor:
            cursor.execute(REPORTED)
            return [lsn(value) for value in cursor.fetchone()]

    # -- the receiver --------------------------------------------------------------------------

    def deal(self):
        """Codec and mode of the next receiver: each pair once before any comes again."""
        if not self.deck:
            modes = (False,) if "--no-sync" in self.args else (False, True)
            self.deck = [(codec, synchronous) for codec in CODECS for synchronous in modes]
            self.chance.shuffle(self.deck)
        self.compress, self.synchronous = self.deck.pop()

    def start_receiver(self):
        options = ["--synchronous"] if self.synchronous else [f"--flush-interval={self.chance.choice((20, 200, 1000))}ms"]
        self.receiver = self.world.receive(self.program, self.directory, self.server, *options, *self.args,
                                           slot="arch", compress=self.compress, **self.env)
        self.started = time.monotonic()

    def describe(self):
        return (f"{self.disk.kind:4} {self.server.segsize >> 20:2} MB {self.compress:4} "
                f"{'synchronous' if self.synchronous else 'interval   '}")

    def settle(self, all_of_it=False):
        """Caught up by itself: every segment is the primary's, and walrx verify finds nothing."""
        self.receiver.wait_streaming(self.server)
        self.clients.pause()
        last = self.server.switch()
        self.server.insert()
        self.receiver.wait_received(self.server, column="flush_lsn", timeout=60)
        self.slowest = max(self.slowest, time.monotonic() - self.started)
        ar.wait_complete(self.directory, last, ar.suffix_of(self.compress), 60)
        upto = max(self.ask())
        segsize = self.server.segsize
        start = self.start if all_of_it else max(self.start, (self.told // segsize - 4) * segsize)
        holds(self.directory, self.server.wal_dir, 1, start, upto, segsize)
        verify(self.program, self.directory, self.world.base)
        self.told = max(self.told, upto)
        self.clients.resume()

    # -- one cut -------------------------------------------------------------------------------

    def one(self, event):
        """The event at a random moment, the archive looked at, the receiver on it again."""
        if self.receiver is None:
            self.deal()
            self.start_receiver()
        self.receiver.wait_streaming(self.server)
        catching_up = self.chance.random() < 0.25
        if catching_up:
            assert self.receiver.stop() == 0, self.receiver.log()
            time.sleep(self.chance.uniform(0.2, 0.8))
            self.start_receiver()
            time.sleep(self.chance.uniform(0.0, 0.25))  # from the first call on
        else:
            time.sleep(self.chance.uniform(0.05, 0.9))
        reported = self.strike(event)
        self.clients.pause()  # what a slow machine takes to look is no time to make more
        took = self.disk.remount() if "cut" in event else 0.0
        found = 0
        if reported > self.begun:
            found = holds(self.directory, self.server.wal_dir, 1, self.start, reported, self.server.segsize)
        self.compared += found
        self.events.append((event, self.compress, self.synchronous))
        was = self.describe()
        if self.server.process is None:
            self.server.start()
        self.clients.resume()
        self.deal()
        self.start_receiver()
        self.settle()
        self.tell(f"{event:16} {was} {'catching up' if catching_up else 'streaming  '} told {lsn_text(reported)}: "
                  f"{found >> 10} kB there; mounted in {took * 1000:.0f} ms, "
                  f"caught up {time.monotonic() - self.started:.1f} s after its start")

    def strike(self, event):
        """Returns the newest position the primary was told of, whenever."""
        parts = event.split("+")
        self.ask()  # the connection is there
        reported = max(self.ask())
        if "cut" in parts:
            self.disk.cut()
        if "kill" in parts:
            self.receiver.process.kill()
        if "primary" in parts:
            self.close_asker()
            self.server.kill9()
        if "kill" in parts:
            self.receiver.process.wait(10)
        elif "cut" in parts:
            if "primary" in parts:
                self.server.start()
            code = self.receiver.wait(40)
            said = self.receiver.log()
            assert code == 3, f"exit {code} after the cut\n{said}"
            assert re.search(rf"error +could not .*: ({DEAD})", said), said
        if self.server.process is not None:
            wait_until(lambda: self.server.slot("arch", "active") == "f", "the walsender has ended", 40)
            reported = max([reported, *self.ask()])
        return reported
