# SPDX-License-Identifier: PostgreSQL
"""Going on with an open segment: whatever became of its file, and from a server that is not the same."""

import os

from harness import archive as ar
from harness.postgres import Postgres, copy_cluster
from harness.receiver import run_receiver
from harness.util import stays_true, wait_until

REFUSED = 2


def receive_more(it, server):
    it.wait_streaming(server)
    server.insert(rows=50)
    it.wait_received(server)


def torn(path):
    os.truncate(path, 100_000)


def empty(path):
    os.truncate(path, 0)


def oversize(path):
    with open(path, "ab") as file:
        file.write(os.urandom(300_000))


def garbage_tail(path):
    """Behind the last record, as a recycled block or a torn write leaves it."""
    content = path.read_bytes()
    end = len(content.rstrip(b"\0"))
    with open(path, "r+b") as file:
        file.seek(end)
        file.write(os.urandom(len(content) - end))


def gone(path):
    path.unlink()


def test_partial_heals_whatever_became_of_it(world, walrx):
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    it = world.receive(walrx, directory, server, "--synchronous", slot="arch")
    warnings = 0
    for damage in (torn, empty, oversize, garbage_tail, gone):
        receive_more(it, server)
        it.kill9()
        (partial,) = ar.partials(directory)
        damage(partial)
        warnings += damage in (torn, empty, oversize)
        it.start()
        receive_more(it, server)
        assert it.log().count("; mended, it is received again") == warnings, (damage, it.log())
        last = server.switch()
        server.insert()
        ar.wait_complete(directory, last)
    assert it.stop() == 0
    assert len(ar.assert_equals_primary(directory, server)) >= 5


def test_acknowledged_bytes_are_compared_when_they_arrive_again(world, walrx):
    """A copy of the server from earlier goes another way within the open segment."""
    server = world.server()
    server.stop("fast")
    other = Postgres(world.base, "other", world.templates, data_from=lambda t: copy_cluster(server.data, t))
    world.servers.append(other)
    server.start()
    directory = world.archive()
    it = world.receive(walrx, directory, server, "--synchronous")
    receive_more(it, server)
    assert it.stop() == 0
    server.stop("fast")
    other.start()
    other.insert(rows=400)  # beyond the archive's end, which would be refused otherwise
    before = ar.untouchable(directory, state=False)
    done = run_receiver(walrx, ["-D", directory, "-d", other.conninfo()], world.base, timeout=20)
    assert done.returncode == REFUSED, done
    assert "the server's WAL differs from the archived file" in done.stderr, done
    assert ar.untouchable(directory, state=False) == before
    other.stop("fast")
    server.start()
    it.start()  # the right one is welcome still
    receive_more(it, server)
    assert it.stop() == 0


def test_standby_behind_the_archive_is_waited_for(world, walrx):
    primary = world.server()
    standby = world.standby(primary)
    standby.sql("alter system set primary_conninfo = ''")
    standby.reload()
    wait_until(lambda: primary.number("select count(*) from pg_stat_replication") == 0, "the standby follows nobody")
    directory = world.archive()
    it = world.receive(walrx, directory, primary)
    it.wait_streaming(primary)
    primary.fill_segments(2)
    it.wait_received(primary)
    assert it.stop() == 0
    before = ar.untouchable(directory, state=False)
    it = world.receive(walrx, directory, standby)
    it.wait_log("the standby is behind the archive")
    stays_true(it.running, "the receiver waits", 1)
    assert ar.untouchable(directory, state=False) == before
    standby.sql(f"alter system set primary_conninfo = '{primary.conninfo()}'")
    standby.reload()
    it.wait_streaming(standby)
    last = primary.switch()
    primary.insert()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    assert it.log().count("the standby is behind the archive") == 1
    ar.assert_equals_primary(directory, primary)
