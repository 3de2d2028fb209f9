# SPDX-License-Identifier: PostgreSQL
"""The archive is the primary's pg_wal, byte for byte, whatever is killed in between."""

import os
import signal

import pytest
from harness import archive as ar
from harness.postgres import Load
from harness.util import lsn, run as run_program, wait_until

CODECS = [None, "gzip:1", "lz4", "zstd:1"]


def finish(world, server, receiver, directory, first, suffix=""):
    """End the open segment, wait for it, and compare everything with the primary."""
    last = server.switch()
    # the next segment gets a record, so that the receiver goes on past the switch
    server.insert()
    receiver.wait_received(server)
    ar.wait_complete(directory, last, suffix)
    ar.wait_compressed(directory, suffix)
    ar.assert_equals_primary(directory, server, first=first, last=last, suffix=suffix)
    ar.assert_waldump_reads(directory, world.base, server.bindir)


@pytest.mark.parametrize("segsize_mb,count", [(1, 12), (16, 3), (64, 2)])
def test_segments_equal_the_primarys(world, receiver, segsize_mb, count):
    server = world.server(segsize_mb=segsize_mb)
    directory = world.archive()
    run = world.receive(receiver, directory, server)
    run.wait_streaming(server)
    first = server.segment()
    server.fill_segments(count)
    finish(world, server, run, directory, first)
    assert run.stop() == 0
    ar.assert_partial(directory, server, server.flush_lsn())


def test_partial_holds_everything_received(world, receiver):
    server = world.server()
    directory = world.archive()
    run = world.receive(receiver, directory, server)
    run.wait_streaming(server)
    for _ in range(5):
        server.insert(rows=20)
        run.wait_received(server)
    upto = server.flush_lsn()
    assert run.stop() == 0
    ar.assert_partial(directory, server, upto)


@pytest.mark.slow
def test_kill_of_the_receiver_under_load(world, receiver):
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch")
    with Load(server) as load:
        for _ in range(6):
            run.wait_streaming(server)
            load.run_rounds(12)
            run.kill9()
            run.start()
        run.wait_streaming(server)
    finish(world, server, run, directory, first)
    assert run.stop() == 0


@pytest.mark.slow
def test_kill_of_the_walsender_under_load(world, receiver):
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch")
    with Load(server) as load:
        for _ in range(2):
            pid = int(run.wait_streaming(server))
            load.run_rounds(12)
            os.kill(pid, signal.SIGKILL)  # the postmaster restarts every other backend too
            wait_until(lambda: server.sql("select 1", check=False) == "1", "crash recovery")
        run.wait_streaming(server)
        load.run_rounds(6)
    finish(world, server, run, directory, first)
    assert run.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["immediate", "kill9"])
def test_crash_of_the_server_under_load(world, receiver, how):
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch")
    with Load(server) as load:
        for _ in range(2):
            run.wait_streaming(server)
            load.run_rounds(12)
            if how == "kill9":
                server.kill9()
            else:
                server.stop("immediate")
            server.start()
        run.wait_streaming(server)
        load.run_rounds(6)
    finish(world, server, run, directory, first)
    assert run.stop() == 0


@pytest.mark.slow
@pytest.mark.receivers("walrx")
@pytest.mark.parametrize("compress", CODECS[1:])
def test_kill_of_a_compressing_receiver_under_load(world, receiver, compress):
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch", compress=compress)
    with Load(server, switch_every=3) as load:
        for _ in range(4):
            run.wait_streaming(server)
            load.run_rounds(9)
            run.kill9()
            run.start()
        run.wait_streaming(server)
    finish(world, server, run, directory, first, ar.suffix_of(compress))
    assert run.stop() == 0
    for path in ar.segments(directory).values():
        ar.assert_readable(path)


@pytest.mark.slow
def test_same_load_gives_the_same_archive_as_pg_receivewal(world, walrx, programs):
    """Both receivers at once, both killed and the server crashed: no difference in any file."""
    server = world.server()
    runs = {}
    for name, program in (("ours", walrx), ("theirs", programs("pg_receivewal"))):
        server.create_slot(name)
    for name, program in (("ours", walrx), ("theirs", programs("pg_receivewal"))):
        runs[name] = world.receive(program, world.archive(name), server, slot=name, PGAPPNAME=name)
    both = runs.values()

    def streaming():
        for run in both:
            run.restart_if_ended()
        return server.sql("select count(*) from pg_stat_replication where state = 'streaming'") == "2"

    with Load(server) as load:
        wait_until(streaming, "both stream")
        load.run_rounds(12)
        for run in both:
            run.kill9()
            run.start()
        wait_until(streaming, "both stream")
        load.run_rounds(12)
        server.stop("immediate")
        server.start()
        wait_until(streaming, "both stream")
        load.run_rounds(12)
    last = server.switch()
    server.insert()
    for run in both:
        ar.wait_complete(run.archive, last)
        assert run.stop() == 0
    ar.assert_same_archives(*(run.archive for run in both))
    ar.assert_equals_primary(runs["ours"].archive, server, last=last)


def test_receivers_take_over_from_each_other(world, walrx, programs):
    """pg_receivewal and walrx continue each other's directory, open segment included."""
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    directory = world.archive()
    theirs = programs("pg_receivewal")
    for program in (theirs, walrx, theirs, walrx):
        run = world.receive(program, directory, server, slot="arch")
        run.wait_streaming(server)
        server.fill_segments(2)
        server.insert(rows=30)
        run.wait_received(server)
        assert run.stop() == 0
    assert len(ar.partials(directory)) == 1, ar.listing(directory)
    run = world.receive(walrx, directory, server, slot="arch")
    finish(world, server, run, directory, first)


def test_records_larger_than_a_segment(world, receiver):
    """One record over several segments: nothing in the receiver may depend on record starts."""
    server = world.server()
    server.sql("create extension if not exists pg_walinspect", check=False)
    directory = world.archive()
    run = world.receive(receiver, directory, server)
    run.wait_streaming(server)
    first = server.segment()
    for _ in range(3):
        server.sql("select pg_logical_emit_message(false, 'big', repeat(md5(random()::text), 100000))")
    finish(world, server, run, directory, first)
    assert run.stop() == 0


def test_end_of_log_segment_roll_over(world, receiver):
    """Segment numbers roll over into the next 4 GB: ...00000FFF is followed by ...00000000."""
    server = world.server(start=False, fresh=True)
    run_program([server.bindir / "pg_resetwal", "-f", "-D", server.data, "-l", "000000010000000000000FFD"],
                env=server.env)
    server.start()
    server.create_table()
    directory = world.archive()
    run = world.receive(receiver, directory, server)
    run.wait_streaming(server)
    first = server.segment()
    assert lsn(server.sql("select pg_current_wal_lsn()")) < 1 << 32
    while server.flush_lsn() < (1 << 32) + (1 << 20):
        server.fill_segments(1)
    finish(world, server, run, directory, first)
    assert run.stop() == 0
    assert "000000010000000100000000" in ar.segments(directory)
