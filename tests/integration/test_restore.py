# SPDX-License-Identifier: PostgreSQL
"""A server comes back from a base backup and the archive alone, to the newest commit."""

import random
import shutil
import time

import pytest
from harness import archive as ar
from harness.clients import Clients
from harness.postgres import Load
from harness.restore import restored
from harness.util import wait_until

CODECS = [None, "gzip:1", "lz4", "zstd:1"]


@pytest.mark.slow
@pytest.mark.parametrize("compress,segsize_mb", [(None, 1), ("gzip:1", 1), ("lz4", 1), ("zstd:1", 1), (None, 16)])
def test_every_acknowledged_commit_is_restored(world, receiver, compress, segsize_mb):
    """The receiver is the synchronous standby; everything dies at once in the middle of load."""
    if compress and not receiver.is_walrx:
        pytest.skip("pg_receivewal compresses the open segment too")
    server = world.server(segsize_mb=segsize_mb)
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, "--synchronous", slot="arch", compress=compress)
    run.wait_streaming(server)
    server.configure(synchronous_standby_names="recv", synchronous_commit="on")
    server.reload()
    wait_until(lambda: server.sender("sync_state") == ["sync"], "the receiver is the synchronous standby")
    backup = world.base / "backup"
    server.insert(rows=10)
    server.base_backup(backup, wal="none")
    with Load(server) as load:
        load.run_rounds(40)
        run.kill9()
        server.kill9()
        load._stop.set()
    assert load.committed > 0
    new = restored(world, server, backup, directory)
    assert new.number("select max(id) from load") >= load.committed
    assert new.timeline() == 2
    assert new.number("select count(*) from load") > 0


@pytest.mark.slow
@pytest.mark.receivers("walrx")
@pytest.mark.parametrize("archive_dies", ["not", "kill9", "ext4", "xfs"])
def test_no_commit_a_client_saw_is_lost_with_the_primary(world, receiver, cut_disk, seed, archive_dies):
    """The only synchronous standby. The primary is killed and its folder removed; at the same moment
    the receiver may be killed, or the power of the archive's disk cut."""
    chance = random.Random(seed)
    disk = cut_disk(archive_dies) if archive_dies in ("ext4", "xfs") else None
    server = world.server()
    server.create_slot("arch")
    directory = disk.make_dir("archive") if disk else world.archive()
    run = world.receive(receiver, directory, server, "--synchronous", slot="arch", compress=chance.choice(CODECS))
    run.wait_streaming(server)
    server.configure(synchronous_standby_names="recv", synchronous_commit="on")
    server.reload()
    wait_until(lambda: server.sender("sync_state") == ["sync"], "the receiver is the synchronous standby")
    backup = world.base / "backup"
    with Clients(server, count=8, bytes_per_second=2e7, seed=seed) as clients:
        server.base_backup(backup, wal="none")
        time.sleep(chance.uniform(0.5, 3))
        if disk:
            disk.cut()
            time.sleep(chance.uniform(0, 0.05))  # nothing more may be acknowledged
        elif archive_dies == "kill9":
            run.process.kill()
        server.kill9()
    if archive_dies == "not":
        assert run.stop() == 0
    run.cleanup()
    if disk:
        disk.remount()
    shutil.rmtree(server.data)
    new = restored(world, server, backup, directory)
    assert clients.commits() > 50
    assert clients.missing(new) == []
    clients.acknowledged[0].append(1 << 40)
    assert clients.missing(new) == [(0, 1 << 40)], "a lost commit goes unnoticed"


@pytest.mark.slow
@pytest.mark.receivers("walrx")
def test_restore_across_a_failover(world, receiver):
    """A backup from timeline 1, WAL of timelines 1 and 2 from one archive."""
    a = world.server()
    a.create_slot("arch")
    directory = world.archive()
    conninfo = "host=127.0.0.1,127.0.0.1 user=postgres target_session_attrs=read-write port={},{}"
    b = world.standby(a)
    run = world.receive(receiver, directory, conninfo.format(a.port, b.port))
    run.wait_streaming(a)
    backup = world.base / "backup"
    a.base_backup(backup, wal="none")
    a.fill_segments(2)
    a.insert(rows=20)
    a.stop("fast")
    b.promote()
    run.wait_streaming(b)
    b.fill_segments(2)
    b.insert(rows=20)
    want = b.number("select count(*) from load")
    run.wait_received(b)
    assert run.stop() == 0
    b.stop("immediate")
    assert ar.assert_histories(directory, b) == ["00000002.history"]
    new = restored(world, a, backup, directory, recovery_target_timeline="latest")
    assert new.number("select count(*) from load") == want
    assert new.timeline() == 3
