# SPDX-License-Identifier: PostgreSQL
"""What the primary is told: never ahead of what is durable, never taken back."""

import time

import pytest
from harness import archive as ar
from harness.postgres import Load, Postgres, copy_cluster
from harness.util import lsn, lsn_text, stays_true, wait_until


def assert_on_disk(server, directory, position):
    """The bytes of the segment below a reported flush position are in the archive."""
    if position % server.segsize == 0:
        position -= 1
    name = server.segment(lsn_text(position))
    # The file may be renamed between a look and the read.
    for path in [directory / (name + ".partial"), directory / name] * 3:
        try:
            raw = path.read_bytes()
            break
        except FileNotFoundError:
            continue
    else:
        raise AssertionError(f"flush {lsn_text(position)} was reported, {ar.listing(directory)} is there")
    length = position % server.segsize
    ar.assert_same_bytes(name, raw[:length], (server.wal_dir / name).read_bytes()[:length])


@pytest.mark.slow
@pytest.mark.parametrize("synchronous", [False, True])
def test_flush_is_monotone_and_backed_by_the_files(world, receiver, synchronous):
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, *(["--synchronous"] if synchronous else []), slot="arch")
    run.wait_streaming(server)
    newest, samples = 0, 0
    start = lsn(server.slot("arch")) // server.segsize * server.segsize
    with Load(server, rows=20) as load:
        goal = load.rounds + 60
        while load.rounds < goal:
            row = server.sender("sent_lsn write_lsn flush_lsn")
            if row is None or "NULL" in row:
                continue
            sent, write, flush = map(lsn, row)
            assert flush <= write <= sent, row
            assert flush >= newest, f"taken back: {lsn_text(newest)} then {lsn_text(flush)}"
            newest, samples = flush, samples + 1
            if flush > start:  # before that, only the position asked for is reported
                assert_on_disk(server, directory, flush)
    assert samples > 20
    assert run.stop() == 0


@pytest.mark.slow
@pytest.mark.receivers("walrx")
def test_restart_lsn_never_moves_back_over_crashes(world, receiver):
    """kill -9 in the middle of a segment: what was acknowledged before stays acknowledged."""
    server = world.server(segsize_mb=16)
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, "--synchronous", slot="arch")
    newest = 0

    def sample():
        nonlocal newest
        now = lsn(server.slot("arch"))
        assert now >= newest, f"restart_lsn went back from {lsn_text(newest)} to {lsn_text(now)}"
        newest = now
        row = server.sender("flush_lsn")
        if row and row[0] != "NULL" and row[0] != "0/0":
            assert lsn(row[0]) >= newest or lsn(row[0]) == 0, (row, lsn_text(newest))
        return True

    for _ in range(5):
        run.wait_streaming(server)
        server.insert(rows=200)
        run.wait_received(server, column="flush_lsn")
        sample()
        run.kill9()
        sample()
        run.start()
        wait_until(lambda: sample() and server.sender("state") == ["streaming"], "streaming again")
        stays_true(sample, "restart_lsn does not move back", 0.5, 0.02)
    assert newest % server.segsize != 0
    assert run.stop() == 0


def test_neither_slot_nor_synchronous_reports_no_flush(world, receiver):
    server = world.server()
    run = world.receive(receiver, world.archive(), server)
    run.wait_streaming(server)
    server.fill_segments(2)
    run.wait_received(server)
    assert server.sender("flush_lsn replay_lsn sync_state") == ["NULL", "NULL", "async"]
    assert server.sender("write_lsn")[0] != "NULL"
    assert run.stop() == 0


def test_apply_is_not_reported(world, receiver):
    server = world.server()
    server.create_slot("arch")
    run = world.receive(receiver, world.archive(), server, "--synchronous", slot="arch")
    run.wait_streaming(server)
    server.insert()
    run.wait_received(server, column="flush_lsn")
    assert server.sender("replay_lsn") == ["NULL"]
    assert run.stop() == 0


def synchronous_server(world, receiver, directory, *args, commit="on", **options):
    server = world.server(**options)
    run = world.receive(receiver, directory, server, "--synchronous", *args)
    run.wait_streaming(server)
    server.configure(synchronous_standby_names="recv", synchronous_commit=commit)
    server.reload()
    wait_until(lambda: server.sender("sync_state") == ["sync"], "the receiver is the synchronous standby")
    return server, run


def test_synchronous_standby(world, receiver):
    directory = world.archive()
    server, run = synchronous_server(world, receiver, directory)
    began = time.monotonic()
    server.sql(";".join(["begin; insert into load(filler) values('x'); commit"] * 200))
    assert time.monotonic() - began < 10, "commits wait for a timer"
    upto = server.flush_lsn()
    assert lsn(server.sender("flush_lsn")[0]) >= upto - 1000
    # each acknowledged commit survives the death of both sides
    server.sql("insert into load(filler) values('newest')")
    commit_end = lsn(server.sender("flush_lsn")[0])
    run.kill9()
    assert_on_disk(server, directory, commit_end)


@pytest.mark.receivers("walrx")
def test_report_apply_lets_remote_apply_return(world, receiver):
    server, run = synchronous_server(world, receiver, world.archive(), "--report-apply", commit="remote_apply")
    began = time.monotonic()
    server.insert(rows=1)
    assert time.monotonic() - began < 5
    flush, replay = server.sender("flush_lsn replay_lsn")
    assert replay != "NULL" and lsn(replay) <= lsn(flush)
    assert run.stop() == 0


@pytest.mark.receivers("walrx")
def test_bytes_are_flushed_within_the_interval(world, receiver):
    """A slot but not synchronous: the segment is far from full, the default interval is 1 s."""
    server = world.server(segsize_mb=16)
    server.create_slot("arch")
    run = world.receive(receiver, world.archive(), server, slot="arch", status=60)
    run.wait_streaming(server)
    for _ in range(3):
        server.insert(rows=3)
        run.wait_received(server, column="flush_lsn", timeout=4)
    assert run.stop() == 0


@pytest.mark.receivers("walrx")
def test_flush_interval_is_kept(world, receiver):
    """With a long interval nothing is flushed early; a full segment is flushed at once."""
    server = world.server()
    server.create_slot("arch")
    run = world.receive(receiver, world.archive(), server, "--flush-interval=1h", slot="arch")
    run.wait_streaming(server)
    server.insert(rows=3)
    goal = run.wait_received(server)
    behind = f"select coalesce(flush_lsn < '{goal}', true) from pg_stat_replication where application_name = 'recv'"
    stays_true(lambda: server.sql(behind) == "t", "not flushed before its time", 2.5)
    server.switch()
    server.insert()
    wait_until(lambda: server.sql(behind) == "f", "flushed with the end of the segment", 5)
    assert run.stop() == 0


@pytest.mark.parametrize("mode", ["plain", "slot", "synchronous"])
def test_fast_shutdown_is_not_held_up(world, receiver, mode):
    """The walsender waits for our answer to all that it sent, the shutdown record included."""
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    args = ["--synchronous"] if mode == "synchronous" else []
    run = world.receive(receiver, directory, server, *args, slot="arch" if mode == "slot" else None,
                        status=None)
    run.wait_streaming(server)
    server.insert(rows=100)
    assert server.stop("fast") < 10
    # the shutdown checkpoint was received too: stop() returned because it was acknowledged
    server.start()
    run.wait_streaming(server)
    assert run.stop() == 0
    ar.assert_partial(directory, server, lsn(server.sql("select redo_lsn from pg_control_checkpoint()")))


@pytest.mark.receivers("walrx")
def test_nothing_is_acknowledged_to_a_server_that_was_set_back(world, receiver):
    """In one run: the server goes, an older copy of it takes its place on the same timeline.

    What was flushed of the first one's WAL must not be reported to the second: its slot would jump
    over its own WAL, and its commits would count as safe."""
    server = world.server()
    server.create_slot("arch")
    server.stop("fast")
    old = Postgres(world.base, "old", world.templates, data_from=lambda t: copy_cluster(server.data, t))
    world.servers.append(old)
    server.start()
    both = f"host=127.0.0.1,127.0.0.1 port={server.port},{old.port} user=postgres"
    run = world.receive(receiver, world.archive(), both, "--synchronous", slot="arch")
    run.wait_streaming(server)
    server.insert(rows=200)
    run.wait_received(server, column="flush_lsn")
    server.stop("immediate")
    old.start()
    kept = old.slot("arch")
    assert run.wait(30) == 2
    assert "behind the archive" in run.log()
    assert old.slot("arch") == kept
