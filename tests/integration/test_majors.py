# SPDX-License-Identifier: PostgreSQL
"""Servers of all major versions: streaming, slots, failover, verify, restore.

Which ones: --majors (WALRX_TEST_MAJORS).
"""

import re

import pytest
from harness import archive as ar
from harness import majors
from harness.postgres import Load
from harness.restore import restored
from harness.staged import Stages
from harness.util import clean_env, lsn, make_dir, run
from test_list import commit, listed
from test_stats import assert_same_counts, stats
from test_timelines import assert_follows, fail_over, multi_host
from test_verify import NOT_SOUND, SOUND, dump, plain_copy, verify_json

pytestmark = pytest.mark.network


@pytest.fixture
def major(request, fetched):
    """Number, programs, and the programs that make a base backup."""
    bindir = fetched(majors.programs_of, request.param)
    return request.param, bindir, fetched(majors.tools_of, request.param, bindir)


def server_of(world, major, segsize_mb=1):
    number, bindir, tools = major
    server = world.server(segsize_mb=segsize_mb if number > 10 else 16, bindir=bindir, tools=tools, conf=majors.CHEAP)
    assert server.number("show server_version_num") // 10000 == number == server.major
    assert server.sql("show data_checksums") == ("on" if number >= 18 else "off")
    return server


def assert_no_complaint(it):
    assert "damage" not in it.log() and "warning" not in it.log().lower(), it.log()


def assert_full_pages_of_each_compression(server, plain):
    """So that what is tested is not less than it seems."""
    names = list(ar.segments(plain))
    out = run([server.bindir / "pg_waldump", "-b", "-w", "-p", plain, names[0], names[-1]], check=False).stdout
    assert set(re.findall(r"compression saved: \d+, method: (\w+)", out)) == set(majors.compressions(server))


def verified(world, walrx, directory, server):
    """The result of walrx verify, which counts what pg_waldump of the server's major counts."""
    result = verify_json(world, walrx, directory, SOUND)
    assert result["server_major"] == server.major and result["segment_size"] == server.segsize
    assert result["problems"] == [] and result["gaps"] == []
    if (server.bindir / "pg_waldump").exists():
        plain = plain_copy(directory, world.base / "plain")
        counted = 0
        for timeline in sorted({name[:8] for name in ar.segments(plain)}):
            names = [name for name in ar.segments(plain) if name.startswith(timeline)]
            records, _ = dump(plain, names, server.bindir)
            counted += len(records)
        assert result["records"] == counted > 0
    return result


def test_stages(world, walrx, major):
    """Raised limits, which pg_control knows; a target in the middle, and the end."""
    number, bindir, _ = major
    server = server_of(world, major)
    server.configure(max_connections=150, max_worker_processes=12, max_wal_senders=13, max_prepared_transactions=7,
                     max_locks_per_transaction=70)
    server.stop()
    server.start()
    server.create_slot("arch")
    directory = world.archive()
    it = world.receive(walrx, directory, server, "--synchronous", slot="arch", compress="zstd:1")
    it.wait_streaming(server)
    server.sql("create table marks(n int)")
    backup = world.base / "backup"
    server.base_backup(backup, wal="none")
    server.sql("insert into marks values (1)")
    server.sql("select pg_create_restore_point('here')")
    server.switch()
    server.sql("insert into marks values (2)")
    it.wait_received(server, column="flush_lsn")
    assert it.stop() == 0
    make_dir(world.base / "s", 0o755)
    stages = Stages(world, walrx, bindir)
    try:
        staged = stages.start(directory, backup, world.base / "s" / "a", "--restore-point=here")
        assert staged.reached["state"] == "paused" and staged.reached["as_foreseen"]
        assert staged.sql("select max(n) from marks") == "1"
        assert staged.sql("select string_agg(setting, ' ' order by name) from pg_settings where name in ('max_connections', "
                          "'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', "
                          "'max_locks_per_transaction')") == f"150 70 7 {13 if number >= 12 else 0} 12"
        staged = stages.start(directory, backup, world.base / "s" / "b", "--latest")
        assert staged.reached["state"] == "promoted" and staged.reached["timeline"] == 2
        assert staged.sql("insert into marks select max(n) + 1 from marks returning n") == "3"
    finally:
        stages.close()


@pytest.mark.slow
@pytest.mark.parametrize("compress", [None, "zstd:1"])
def test_streams_all_kinds_of_wal(world, walrx, major, compress):
    """With a slot and compressed, without one and raw; stopped, killed and started again on the way."""
    server = server_of(world, major)
    slot = "arch" if compress else None
    if slot:
        server.create_slot(slot)
    first = server.segment(server.slot(slot) if slot else None)
    directory = world.archive()
    args = ["--verify=stop"] if compress else []
    it = world.receive(walrx, directory, server, *args, slot=slot, compress=compress)
    it.wait_streaming(server)
    with Load(server, switch_every=3) as load:
        load.run_rounds(3)
        it.kill9()
        load.run_rounds(2)
        it.start()
        it.wait_streaming(server)
        load.run_rounds(2)
        assert it.stop() == 0
        load.run_rounds(2)
        it.start()
    majors.write_all_kinds(server)
    last = server.switch()
    newest = commit(server)
    it.wait_received(server)
    upto = server.flush_lsn()
    suffix = ar.suffix_of(compress)
    ar.wait_complete(directory, last, suffix)
    ar.wait_compressed(directory, suffix)
    assert it.stop() == 0
    assert_no_complaint(it)
    ar.assert_equals_primary(directory, server, first=first, last=last, suffix=suffix)
    ar.assert_partial(directory, server, upto)
    verified(world, walrx, directory, server)
    if (world.base / "plain").exists():
        counts = assert_same_counts(world, walrx, directory, world.base / "plain", server.bindir)
    else:
        counts = stats(walrx, world, directory)
    assert counts["server_major"] == server.major and counts["transactions"]["restore_points"] >= 1
    assert counts["transactions"]["last_commit"]["time"] == newest
    if server.major >= 15 and (world.base / "plain").exists():
        assert_full_pages_of_each_compression(server, world.base / "plain")
    assert listed(walrx, world, directory)["window"]["newest_commit"]["time"] == newest
    if slot:
        assert lsn(server.slot(slot)) >= upto - server.segsize


def test_slots(world, walrx, major):
    server = server_of(world, major)

    def call(*args, slot="s1"):
        return run([walrx.command[0], *args, *(["-S", slot] if slot else []), "-d", server.conninfo()],
                   env=clean_env(world.base), check=False)
    assert call("receive", "--create-slot").returncode == 0
    assert call("receive", "--create-slot").returncode == 1
    assert call("receive", "--create-slot", "--if-not-exists").returncode == 0
    assert call("receive", "--drop-slot").returncode == 0
    assert call("slot", "create").returncode == 0
    assert call("slot", "create").returncode == 1
    restart = server.slot("s1")
    shown, every = call("slot", "show"), call("slot", "show", slot=None)
    assert shown.returncode == every.returncode == 0, shown.stderr + every.stderr
    values = dict(line.split(None, 1) for line in shown.stdout.splitlines())
    assert lsn(values["restart_lsn"]) == lsn(restart) and values["slot_type"] == "physical"
    assert values["restart_timeline"] == ("1" if server.major >= 15 else "-")
    name, *fields = every.stdout.splitlines()[1].split()
    assert name == "s1" and lsn(restart) in [lsn(field) for field in fields if "/" in field]  # 19: with zeros in front
    missing = run([*walrx.command, "-D", world.archive(), "-n", "-S", "nosuch", "-d", server.conninfo()],
                  env=clean_env(world.base), check=False)
    assert missing.returncode == 1 and "nosuch" in missing.stderr
    server.switch()
    directory = world.archive()
    it = world.receive(walrx, directory, server, "--synchronous", slot="s1")
    it.wait_streaming(server)
    assert server.slot("s1", "active") == "t"
    server.insert(rows=10)
    last = server.switch()
    server.insert(rows=10)
    it.wait_received(server, column="flush_lsn")
    assert it.stop() == 0
    # an empty directory began where the slot stood, also where READ_REPLICATION_SLOT is unknown (up to 14)
    ar.assert_equals_primary(directory, server, first=server.segment(restart), last=last)
    assert lsn(server.slot("s1")) > lsn(restart) + server.segsize
    assert call("slot", "drop").returncode == 0
    assert call("slot", "show").returncode == 1
    assert server.slot("s1") == ""


@pytest.mark.slow
def test_a_failover_is_followed_verified_and_restored(world, walrx, major):
    a = server_of(world, major, segsize_mb=2)
    b = world.standby(a, **majors.CHEAP)
    directory = world.archive()
    it = world.receive(walrx, directory, multi_host(a, b), compress="lz4")
    it.wait_streaming(a)
    backup = world.base / "backup"
    a.base_backup(backup, wal="none")
    a.fill_segments(1)
    a.insert(rows=50)
    fail_over(a, b)
    it.wait_streaming(b)
    b.fill_segments(1)
    last = b.switch()
    b.insert(rows=50)
    newest = commit(b)
    it.wait_received(b)
    ar.wait_complete(directory, last, ".lz4")
    ar.wait_compressed(directory, ".lz4")
    assert it.stop() == 0
    assert "damage" not in it.log(), it.log()
    assert_follows(directory, b, ".lz4")
    assert ar.assert_histories(directory, b) == ["00000002.history"]
    want = b.sql("select count(*), max(id) from load")
    old, new = verified(world, walrx, directory, b)["timelines"]
    assert (old["timeline"], new["timeline"], new["parent"]) == (1, 2, 1)
    assert old["ranges"][0]["tail"]["whole_to_lsn"] == new["switch_lsn"]
    window = listed(walrx, world, directory)["window"]
    assert window["newest_commit"]["time"] == newest and window["newest_commit"]["timeline"] == 2
    assert_a_flipped_bit_is_found(world, walrx, directory)
    b.stop("immediate")
    restored_ = restored(world, a, backup, directory, recovery_target_timeline="latest", **majors.CHEAP)
    assert restored_.sql("select count(*), max(id) from load") == want
    assert restored_.timeline() == 3


def assert_a_flipped_bit_is_found(world, walrx, directory):
    """In the open segment, which is raw; and put right again."""
    [path] = [p for p in ar.partials(directory) if p.name.startswith("00000002")]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    problems = verify_json(world, walrx, directory, NOT_SOUND)["problems"]
    assert {p["file"] for p in problems} == {path.name}, problems
    content[100] ^= 1
    path.write_bytes(content)
