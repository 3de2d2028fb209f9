# SPDX-License-Identifier: PostgreSQL
"""Failover: timelines are followed, history files kept raw, dead branches left alone."""

import pytest
from harness import archive as ar
from harness.postgres import Load, Postgres, copy_cluster, history_files
from harness.util import lsn, wait_until


def multi_host(*servers):
    """One connection string for all of them; the server that takes writes is used."""
    return ("host=" + ",".join("127.0.0.1" for _ in servers) +
            " port=" + ",".join(str(s.port) for s in servers) +
            " user=postgres target_session_attrs=read-write")


def caught_up(primary, standby):
    goal = primary.sql("select pg_current_wal_flush_lsn()")
    wait_until(lambda: standby.sql(f"select pg_last_wal_replay_lsn() >= '{goal}'") == "t",
               "the standby has replayed everything")


def assert_follows(directory, server, suffix=""):
    """Every segment of every timeline is one that the newest primary has, or had as an old one."""
    have = ar.segments(directory)
    for name, path in have.items():
        assert path.name == name + suffix
        ar.assert_same_bytes(name, ar.content(path), (server.wal_dir / name).read_bytes())
    return have


def fail_over(old, new):
    """An orderly switchover; returns the last LSN of the old timeline."""
    caught_up(old, new)
    took = old.stop("fast")
    assert took < 10, f"the receiver held the shutdown up for {took:.1f} s"
    new.promote()


@pytest.mark.slow
@pytest.mark.parametrize("compress", [None, "lz4"])
@pytest.mark.receivers("walrx", "pg_receivewal")
def test_two_promotions_in_a_row(world, receiver, compress):
    """a -> b -> c: timelines 1, 2, 3 through a connection string that names all three."""
    if compress and not receiver.is_walrx:
        pytest.skip("pg_receivewal compresses history files")
    a = world.server()
    b = world.standby(a)
    c = world.standby(a)
    directory = world.archive()
    run = world.receive(receiver, directory, multi_host(a, b, c), compress=compress)
    run.wait_streaming(a)
    first = a.segment()
    a.fill_segments(2)
    a.insert(rows=50)
    caught_up(a, c)
    fail_over(a, b)
    c.sql(f"alter system set primary_conninfo = '{b.conninfo(application_name='c')}'")
    c.reload()
    run.wait_streaming(b)
    b.fill_segments(2)
    b.insert(rows=50)
    fail_over(b, c)
    run.wait_streaming(c)
    assert c.timeline() == 3
    c.fill_segments(2)
    last = c.switch()
    c.insert()
    run.wait_received(c)
    suffix = ar.suffix_of(compress)
    ar.wait_complete(directory, last, suffix)
    ar.wait_compressed(directory, suffix)
    have = assert_follows(directory, c, suffix)
    assert first in have and last in have
    assert ar.assert_histories(directory, c) == ["00000002.history", "00000003.history"]
    assert history_files(c) == ["00000002.history", "00000003.history"]
    assert run.stop() == 0
    # what a restore along timeline 3 reads: each segment from the newest timeline that has it
    numbers = {ar.segment_number(n, c.segsize) for n in have}
    assert numbers == set(range(min(numbers), max(numbers) + 1))
    ar.assert_waldump_reads(directory, world.base)


@pytest.mark.slow
def test_promotion_under_load(world, receiver):
    a = world.server()
    b = world.standby(a)
    directory = world.archive()
    run = world.receive(receiver, directory, multi_host(a, b))
    run.wait_streaming(a)
    with Load(a) as load:
        load.run_rounds(15)
        a.stop("fast")
    b.promote()
    run.wait_streaming(b)
    b.fill_segments(1)
    last = b.switch()
    b.insert()
    run.wait_received(b)
    ar.wait_complete(directory, last)
    assert_follows(directory, b)
    ar.assert_histories(directory, b)
    assert run.stop() == 0


def test_switch_while_the_receiver_is_down(world, receiver):
    """Started on the new primary, it first finishes what the old timeline still had."""
    a = world.server()
    b = world.standby(a)
    directory = world.archive()
    run = world.receive(receiver, directory, a)
    run.wait_streaming(a)
    a.fill_segments(1)
    run.wait_received(a)
    assert run.stop() == 0
    a.fill_segments(2)
    a.insert(rows=20)
    fail_over(a, b)
    fork = lsn((b.wal_dir / "00000002.history").read_text().split()[1])
    run = world.receive(receiver, directory, b)
    run.wait_streaming(b)
    b.fill_segments(2)
    last = b.switch()
    b.insert()
    run.wait_received(b)
    ar.wait_complete(directory, last)
    have = assert_follows(directory, b)
    assert ar.assert_histories(directory, b) == ["00000002.history"]
    numbers = {ar.segment_number(n, b.segsize) for n in have}
    assert numbers == set(range(min(numbers), max(numbers) + 1))
    assert any(n.startswith("00000002") and ar.segment_number(n, b.segsize) == fork // b.segsize
               for n in have), list(have)
    assert run.stop() == 0


@pytest.mark.receivers("walrx")
def test_dead_branch_stays_as_it_is(world, receiver):
    """The old primary had more than the new one: start at the fork, keep the old files."""
    a = world.server()
    b = world.standby(a)
    directory = world.archive()
    run = world.receive(receiver, directory, a)
    run.wait_streaming(a)
    caught_up(a, b)
    b.stop("fast")
    a.fill_segments(3)
    a.insert(rows=30)
    run.wait_received(a)
    assert run.stop() == 0
    a.stop("immediate")
    dead = {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}
    b.start()
    b.promote()
    fork = lsn((b.wal_dir / "00000002.history").read_text().split()[1])
    run = world.receive(receiver, directory, b, "-v")
    run.wait_streaming(b)
    b.fill_segments(2)
    last = b.switch()
    b.insert()
    run.wait_received(b)
    ar.wait_complete(directory, last)
    assert run.stop() == 0
    for name, data in dead.items():
        assert (directory / name).read_bytes() == data, f"{name} of the dead branch was changed"
    have = ar.segments(directory)
    new = {n: p for n, p in have.items() if n.startswith("00000002")}
    assert min(ar.segment_number(n, b.segsize) for n in new) == fork // b.segsize
    for name, path in new.items():
        ar.assert_same_bytes(name, path.read_bytes(), (b.wal_dir / name).read_bytes())
    assert ar.assert_histories(directory, b) == ["00000002.history"]
    assert len([line for line in run.log().splitlines() if "warning" in line.lower()]) == 1, run.log()


@pytest.mark.receivers("walrx")
def test_from_a_dead_branch_over_two_promotions_no_history_file_is_left_out(world, receiver):
    """Receiving goes on in the middle of timeline 2 of a server on timeline 3: recovery asks for the files of both."""
    a = world.server()
    b, c = world.standby(a), world.standby(a)
    directory = world.archive()
    run = world.receive(receiver, directory, a)
    run.wait_streaming(a)
    a.insert(rows=10)
    caught_up(a, b)
    caught_up(a, c)
    for standby in (b, c):
        standby.stop("fast")
    a.fill_segments(2)
    run.wait_received(a)
    assert run.stop() == 0
    a.stop("immediate")
    b.start()
    b.promote()
    c.configure(primary_conninfo=b.conninfo(application_name="c"))
    c.start()
    b.fill_segments(2)
    fail_over(b, c)
    run = world.receive(receiver, directory, c)
    run.wait_streaming(c)
    c.fill_segments(1)
    run.wait_received(c)
    assert run.stop() == 0
    assert {name[:8] for name in ar.segments(directory)} == {"00000001", "00000002", "00000003"}
    assert ar.assert_histories(directory, c) == ["00000002.history", "00000003.history"]


@pytest.mark.receivers("walrx")
def test_crash_of_the_receiver_around_the_switch(world, receiver):
    """kill -9 while the new timeline begins leaves an archive that goes on."""
    a = world.server()
    b = world.standby(a)
    directory = world.archive()
    run = world.receive(receiver, directory, multi_host(a, b))
    run.wait_streaming(a)
    a.insert(rows=30)
    fail_over(a, b)
    run.wait_streaming(b)
    run.kill9()
    run.start()
    run.wait_streaming(b)
    run.kill9()
    b.insert(rows=30)
    run.start()
    run.wait_streaming(b)
    b.fill_segments(1)
    last = b.switch()
    b.insert()
    run.wait_received(b)
    ar.wait_complete(directory, last)
    assert_follows(directory, b)
    ar.assert_histories(directory, b)


@pytest.mark.receivers("walrx")
def test_server_behind_the_archive_is_never_overwritten(world, receiver):
    """A copy of the primary from earlier, same timeline: wait or refuse, nothing is changed."""
    a = world.server()
    directory = world.archive()
    a.stop("fast")
    old = Postgres(world.base, "old", world.templates, data_from=lambda t: copy_cluster(a.data, t))
    world.servers.append(old)
    a.start()
    run = world.receive(receiver, directory, a)
    run.wait_streaming(a)
    a.fill_segments(4)
    run.wait_received(a)
    assert run.stop() == 0
    before = {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}
    old.start()
    run = world.receive(receiver, directory, old, "-n")
    try:
        code = run.process.wait(5)
        assert code in (1, 2), run.log()
    except Exception as error:  # it waits: allowed as well
        assert type(error).__name__ == "TimeoutExpired", error
    assert {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()} == before
