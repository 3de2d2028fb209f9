# SPDX-License-Identifier: PostgreSQL
"""WAL is checked while it is received: damage on the server is told or ends the stream before it is
acknowledged, and whatever a server writes by right is never called damaged."""

import re

import pytest
from harness import archive as ar
from harness.postgres import BINDIR, Load
from harness.receiver import run_receiver
from harness.util import lsn, run, wait_until

SLOT = "checked"
STOPPED_AT_DAMAGE = 2


class Damage:
    """One bit of a record's body, in a finished segment that the server still has to send."""

    def __init__(self, server):
        server.create_slot(SLOT)
        server.fill_segments(2)
        self.server = server
        self.segment = server.switch()
        server.fill_segments(2)
        self.path = server.wal_dir / self.segment
        self.start = ar.segment_number(self.segment, server.segsize) * server.segsize
        self.lsn = self._record()
        self.flip()

    def _record(self):
        """A record that lies on one page, some way into the segment."""
        out = run([BINDIR / "pg_waldump", self.path], check=False).stdout
        for total, at in re.findall(r"tot\): *\d+/ *(\d+),.* lsn: (\S+), prev", out):
            position = lsn(at)
            if (int(total) > 100 and position >= self.start + self.server.segsize // 8 and
                    position % 8192 + int(total) < 8192):
                return position
        raise AssertionError(f"no such record:\n{out[-2000:]}")

    def flip(self):
        with open(self.path, "r+b") as file:
            file.seek(self.lsn - self.start + 60)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 4]))

    def text(self):
        return f"{self.lsn >> 32:X}/{self.lsn & 0xFFFFFFFF:X}"


@pytest.fixture
def damage(world):
    return Damage(world.server())


def assert_archived_as_it_is(directory, server):
    have = ar.segments(directory)
    for name, path in have.items():
        ar.assert_same_bytes(name, ar.content(path), (server.wal_dir / name).read_bytes())
    return have


@pytest.mark.parametrize("compress", [None, "lz4"])
@pytest.mark.parametrize("mode", ["on", "off"])
def test_damage_is_archived_as_it_is(world, walrx, damage, mode, compress):
    server = damage.server
    directory = world.archive()
    args = [] if mode == "on" else ["--verify=off"]
    it = world.receive(walrx, directory, server, *args, slot=SLOT, compress=compress)
    it.wait_streaming(server)
    last = server.switch()
    server.insert()
    it.wait_received(server)
    ar.wait_complete(directory, last, ar.suffix_of(compress))
    assert it.stop() == 0
    have = assert_archived_as_it_is(directory, server)
    assert damage.segment in have and last in have
    told = [line for line in it.log().splitlines() if "damaged WAL" in line]
    if mode == "off":
        assert told == []
        return
    assert len(told) == 2, it.log()
    assert "warning" in told[0] and f"damaged WAL at {damage.text()}: incorrect checksum" in told[0]
    assert re.search(r" [0-9A-F]{8} instead of [0-9A-F]{8}", told[0])
    assert f"damaged WAL at 1 place, the latest at {damage.text()}" in told[1]


@pytest.mark.parametrize("compress", [None, "lz4"])
def test_stop_acknowledges_nothing_from_the_damage_on(world, walrx, damage, compress):
    server = damage.server
    directory = world.archive()
    args = ["-D", directory, "-d", server.conninfo(), "-S", SLOT, "--verify=stop"]
    args += ["-Z", compress] if compress else []
    for _ in range(2):  # the next start does not get past it either
        done = run_receiver(walrx, args, world.base, timeout=30)
        assert done.returncode == STOPPED_AT_DAMAGE, done
        assert f"damaged WAL at {damage.text()}: incorrect checksum" in done.stderr, done
        assert lsn(server.slot(SLOT)) <= damage.lsn
        have = assert_archived_as_it_is(directory, server)
        assert have and max(have) < damage.segment
        assert [p.name for p in ar.partials(directory)] == [damage.segment + ".partial"]
    assert lsn(server.slot(SLOT)) >= damage.start, "what is right before the damage counts"
    # The server's WAL is mended (a copy from elsewhere): the archive goes on.
    damage.flip()
    it = world.receive(walrx, directory, server, "--verify=stop", slot=SLOT, compress=compress)
    it.wait_streaming(server)
    last = server.switch()
    server.insert()
    it.wait_received(server, column="flush_lsn")
    ar.wait_complete(directory, last, ar.suffix_of(compress))
    assert it.stop() == 0
    assert damage.segment in assert_archived_as_it_is(directory, server)
    assert "damaged" not in it.log()


@pytest.mark.slow
@pytest.mark.parametrize("compress", [None, "zstd"])
@pytest.mark.parametrize("mode", ["on", "stop"])
def test_what_a_server_writes_is_never_called_damaged(world, walrx, mode, compress):
    """Load with switches and checkpoints, records over several segments, crashes, a promotion."""
    a = world.server()
    b = world.standby(a)
    directory = world.archive()
    conninfo = (f"host=127.0.0.1,127.0.0.1 port={a.port},{b.port} user=postgres "
                "target_session_attrs=read-write")
    it = world.receive(walrx, directory, conninfo, f"--verify={mode}", compress=compress)
    it.wait_streaming(a)
    long_record = "select pg_logical_emit_message(false, 'test', repeat('x', 3500000))"
    with Load(a) as load:
        load.run_rounds(20)
        a.sql(long_record)
        for crash in (lambda: a.stop("immediate"), a.kill9):
            load.run_rounds(10)
            crash()
            (a.data / "postmaster.pid").unlink(missing_ok=True)
            a.start()
            it.wait_streaming(a)
        load.run_rounds(10)
    goal = a.sql("select pg_current_wal_flush_lsn()")
    wait_until(lambda: b.sql(f"select pg_last_wal_replay_lsn() >= '{goal}'") == "t", "the standby is there")
    a.stop("fast")
    b.promote()
    it.wait_streaming(b)
    with Load(b) as load:
        load.run_rounds(20)
        b.sql(long_record)
    last = b.switch()
    b.insert()
    it.wait_received(b)
    ar.wait_complete(directory, last, ar.suffix_of(compress))
    assert it.stop() == 0
    assert "damage" not in it.log(), it.log()
    assert last in ar.segments(directory)
