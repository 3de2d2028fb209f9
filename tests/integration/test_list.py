# SPDX-License-Identifier: PostgreSQL
"""walrx list: what it says of archives whose content is known otherwise, and that it changes nothing."""

import json

import pytest
from harness import archive as ar
from harness.postgres import Load
from harness.util import clean_env, lsn, lsn_text, run, wait_until

TRACK = {"track_commit_timestamp": "on"}
COMMIT = {"time", "lsn", "timeline", "searched_segments"}


def call(walrx, world, directory, *args):
    return run([walrx.command[0], "list", "-D", directory, *args], env=clean_env(world.base), check=False, timeout=60)


def listed(walrx, world, directory):
    done = call(walrx, world, directory, "--json")
    assert done.returncode == 0 and done.stderr == "", done
    result = json.loads(done.stdout)
    check_schema(result)
    return result


def check_schema(result):
    assert set(result) == {"format_version", "directory", "system_identifier", "identity_from", "segment_size_bytes",
                           "wal", "window", "timelines", "gaps", "files", "warning"}
    assert result["format_version"] == 1
    assert set(result["wal"]) == {"segments", "wal_bytes", "disk_bytes", "ratio", "forms"}
    assert set(result["wal"]["forms"]) == {"raw", "gzip", "lz4", "zstd"}
    assert set(result["files"]) == {"partials", "histories", "backup_histories", "quarantine", "duplicates",
                                    "old_partials", "temporary", "wrong_size", "foreign"}
    for timeline in result["timelines"]:
        assert set(timeline) == {"timeline", "branch", "history_file", "left_at_lsn", "next_timeline", "ranges", "open"}
        for part in timeline["ranges"]:
            assert set(part) == {"first_segment", "last_segment", "begin_lsn", "end_lsn", "segments", "disk_bytes"}
    for gap in result["gaps"]:
        assert set(gap) == {"timeline", "behind_timeline", "begin_lsn", "end_lsn", "begin_segment", "end_segment",
                            "segments", "state"}
    if result["window"] is not None:
        assert set(result["window"]) == {"unbroken_begin_lsn", "unbroken_timeline", "oldest_commit",
                                         "oldest_unbroken_commit", "newest_commit"}
        for name in ("oldest_commit", "oldest_unbroken_commit", "newest_commit"):
            assert set(result["window"][name]) == COMMIT


def commit(server, prefix=""):
    """A transaction with an ID; its commit time as the server knows it, in microseconds."""
    xid = server.sql(f"{prefix} insert into load(filler) values ('x') returning xmin::text::bigint").splitlines()[-1]
    return commit_time(server, xid)


def commit_time(server, xid):
    return server.sql(f"select to_char(pg_xact_commit_timestamp('{xid}') at time zone 'UTC', "
                      "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")


def names_of(part, segsize):
    """The segments of a range by their numbers."""
    timeline = part["first_segment"][:8]
    first = ar.segment_number(part["first_segment"], segsize)
    per_4gb = 0x100000000 // segsize
    return [f"{timeline}{n // per_4gb:08X}{n % per_4gb:08X}" for n in range(first, first + part["segments"])]


def assert_lists_what_is_there(result, directory, segsize):
    ranges = [part for timeline in result["timelines"] for part in timeline["ranges"]]
    names = [name for part in ranges for name in names_of(part, segsize)]
    assert names == list(ar.segments(directory))
    assert result["wal"]["segments"] == len(names)
    assert result["wal"]["wal_bytes"] == len(names) * segsize
    sizes = {name: path.stat().st_size for name, path in ar.segments(directory).items()}
    assert result["wal"]["disk_bytes"] == sum(sizes.values()) == sum(p["disk_bytes"] for p in ranges)
    for part in ranges:
        inside = names_of(part, segsize)
        assert part["last_segment"] == inside[-1]
        assert part["disk_bytes"] == sum(sizes[name] for name in inside)
        assert lsn(part["begin_lsn"]) == ar.segment_number(inside[0], segsize) * segsize
        assert lsn(part["end_lsn"]) - lsn(part["begin_lsn"]) == len(inside) * segsize


def archive_with_known_commits(world, walrx, *args, segments=3, compress=None):
    """The first and the last commit that the archive holds, by the server's own record of them."""
    server = world.server(conf=TRACK)
    server.switch()
    server.sql("checkpoint")  # a slot begins at the last one's redo position
    server.create_slot("arch")
    directory = world.archive()
    it = world.receive(walrx, directory, server, *args, slot="arch", compress=compress)
    it.wait_streaming(server)
    first = commit(server)
    server.fill_segments(segments)
    last = commit(server)
    it.wait_received(server)
    return server, directory, it, first, last


@pytest.mark.parametrize("compress", [None, "gzip:1", "lz4", "zstd:1"])
def test_commit_times_are_the_servers_and_files_are_counted(world, walrx, compress):
    server, directory, it, first, last = archive_with_known_commits(world, walrx, compress=compress)
    suffix = ar.suffix_of(compress)
    ar.wait_complete(directory, server.switch(), suffix)
    ar.wait_compressed(directory, suffix)
    newest = commit(server)
    it.wait_received(server)
    assert it.stop() == 0
    before = ar.tree(directory)
    result = listed(walrx, world, directory)
    assert ar.tree(directory) == before
    assert_lists_what_is_there(result, directory, server.segsize)
    window = result["window"]
    assert window["oldest_commit"]["time"] == window["oldest_unbroken_commit"]["time"] == first
    assert window["newest_commit"]["time"] == newest > last
    assert result["system_identifier"] == server.system_identifier() and result["identity_from"] == "walrx"
    assert result["segment_size_bytes"] == server.segsize
    assert result["gaps"] == [] and result["warning"] is None
    form = result["wal"]["forms"][(compress or "raw").split(":")[0]]
    assert form["files"] == result["wal"]["segments"] and form["disk_bytes"] == result["wal"]["disk_bytes"]
    assert (form["ratio"] > 1.05) == (compress is not None)
    (timeline,) = result["timelines"]
    assert timeline["branch"] == "current" and timeline["next_timeline"] is None
    assert timeline["open"]["file"] == ar.partials(directory)[0].name
    assert lsn(timeline["open"]["proven_end_lsn"]) >= lsn(window["newest_commit"]["lsn"]) + 34
    assert lsn(timeline["open"]["proven_end_lsn"]) <= server.flush_lsn()


def test_the_newest_commit_may_lie_far_back_and_is_not_guessed(world, walrx):
    server, directory, it, first, _ = archive_with_known_commits(world, walrx)
    newest = commit(server)
    # Nothing but switches behind it: each segment has a record or two, no commit.
    for _ in range(4):
        server.sql("select pg_create_restore_point('idle')")
        last = server.switch()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    result = listed(walrx, world, directory)
    assert result["window"]["newest_commit"]["time"] == newest
    assert result["window"]["newest_commit"]["searched_segments"] >= 4
    assert result["window"]["oldest_commit"]["time"] == first
    for name in list(ar.segments(directory))[:-3]:
        (directory / name).unlink()
    for path in ar.partials(directory):
        path.unlink()
    result = listed(walrx, world, directory)
    for name in ("oldest_commit", "newest_commit"):
        assert result["window"][name] == {"time": None, "lsn": None, "timeline": None, "searched_segments": 3}
    assert "none found in 3 segments" in call(walrx, world, directory).stdout


def test_prepared_transactions_count_when_they_are_committed(world, walrx):
    server = world.server(conf={**TRACK, "max_prepared_transactions": "4"})
    server.switch()
    directory = world.archive()
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    first = commit(server)
    xid = server.sql("begin; insert into load(filler) values ('x') returning xmin::text::bigint; "
                     "prepare transaction 'p'").splitlines()[0]
    commit(server)
    server.sql("commit prepared 'p'")
    newest = commit_time(server, xid)
    server.sql("begin; insert into load(filler) values ('gone'); rollback")
    it.wait_received(server)
    assert it.stop() == 0
    window = listed(walrx, world, directory)["window"]
    assert window["oldest_commit"]["time"] == first and window["newest_commit"]["time"] == newest


@pytest.mark.parametrize("count", [1, 3])
def test_a_removed_segment_is_a_gap_with_both_ends(world, walrx, count):
    server, directory, it, first, last = archive_with_known_commits(world, walrx, segments=8)
    assert it.stop() == 0
    names = list(ar.segments(directory))
    missing = names[2:2 + count]
    for name in missing:
        (directory / name).unlink()
    result = listed(walrx, world, directory)
    assert_lists_what_is_there(result, directory, server.segsize)
    (gap,) = result["gaps"]
    start = ar.segment_number(missing[0], server.segsize) * server.segsize
    assert gap == {"timeline": 1, "behind_timeline": 1, "begin_lsn": lsn_text(start),
                   "end_lsn": lsn_text(start + count * server.segsize), "begin_segment": missing[0],
                   "end_segment": names[2 + count], "segments": count, "state": "unexplained"}
    window = result["window"]
    assert window["unbroken_begin_lsn"] == gap["end_lsn"]
    assert window["oldest_commit"]["time"] == first and window["newest_commit"]["time"] == last
    assert first < window["oldest_unbroken_commit"]["time"] < last
    assert lsn(window["oldest_unbroken_commit"]["lsn"]) >= lsn(gap["end_lsn"])
    text = call(walrx, world, directory).stdout
    assert f"GAP from {gap['begin_lsn']} ({missing[0]})" in text and "not explained" in text


def test_a_gap_that_was_accepted_is_told_as_recorded(world, walrx):
    server = world.server(conf={**TRACK, "wal_keep_size": "0", "min_wal_size": "2MB"})
    directory = world.archive()
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    server.fill_segments(2)
    server.insert()  # so that there is a partial
    it.wait_received(server)
    assert it.stop() == 0

    def removed():
        server.fill_segments(1)
        server.sql("checkpoint")
        return not (server.wal_dir / ar.partials(directory)[0].name[:24]).exists()
    wait_until(removed, "the server has removed what comes next", 30, 0.1)
    it = world.receive(walrx, directory, server, "--on-gap=continue")
    it.wait_streaming(server)
    newest = commit(server)
    it.wait_received(server)
    assert it.stop() == 0
    recorded = (directory / ".walrx" / "gaps").read_text()
    result = listed(walrx, world, directory)
    (gap,) = result["gaps"]
    assert gap["state"] == "recorded"
    assert f"begin={gap['begin_lsn']} end={gap['end_lsn']}" in recorded
    assert result["window"]["newest_commit"]["time"] == newest
    # What was received behind it is gone: only the record tells that the next start goes on there.
    for name, path in ar.segments(directory).items():
        if ar.segment_number(name, server.segsize) * server.segsize >= lsn(gap["end_lsn"]):
            path.unlink()
    for path in ar.partials(directory):
        if ar.segment_number(path.name[:24], server.segsize) * server.segsize >= lsn(gap["end_lsn"]):
            path.unlink()
    (ahead,) = listed(walrx, world, directory)["gaps"]
    assert ahead == {**gap, "state": "ahead"}


@pytest.mark.parametrize("receiver_kind", ["walrx", "pg_receivewal"])
def test_two_timelines_are_joined_by_the_history_file(world, walrx, programs, receiver_kind):
    primary = world.server(conf=TRACK)
    primary.switch()
    standby = world.standby(primary, track_commit_timestamp="on")
    directory = world.archive()
    conninfo = (f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres "
                "target_session_attrs=read-write")
    it = world.receive(programs(receiver_kind), directory, conninfo)
    it.wait_streaming(primary)
    first = commit(primary)
    primary.fill_segments(2)
    goal = primary.sql("select pg_current_wal_flush_lsn()")
    wait_until(lambda: standby.sql(f"select pg_last_wal_replay_lsn() >= '{goal}'") == "t", "the standby has it all")
    it.wait_received(primary)
    primary.stop("fast")
    standby.promote()
    it.wait_streaming(standby, timeout=60)
    standby.fill_segments(2)
    newest = commit(standby)
    it.wait_received(standby)
    assert it.stop() == 0
    result = listed(walrx, world, directory)
    assert_lists_what_is_there(result, directory, standby.segsize)
    old, new = result["timelines"]
    fork = (standby.wal_dir / "00000002.history").read_text().split("\t")[1]
    assert (old["timeline"], old["next_timeline"], old["left_at_lsn"]) == (1, 2, fork)
    assert (new["timeline"], new["next_timeline"], new["history_file"]) == (2, None, True)
    assert old["branch"] == new["branch"] == "current"
    assert result["gaps"] == [] and result["files"]["histories"]["files"] == 1
    window = result["window"]
    assert window["unbroken_timeline"] == 1
    assert (window["oldest_commit"]["time"], window["oldest_commit"]["timeline"]) == (first, 1)
    assert (window["newest_commit"]["time"], window["newest_commit"]["timeline"]) == (newest, 2)
    # The last segment before the fork: a gap between the timelines.
    lost = old["ranges"][-1]["last_segment"]
    (directory / lost).unlink()
    (gap,) = listed(walrx, world, directory)["gaps"]
    assert (gap["timeline"], gap["behind_timeline"], gap["begin_segment"]) == (1, 2, lost)
    assert gap["end_segment"] == new["ranges"][0]["first_segment"]
    # Without the history file nobody knows how the two belong together.
    (directory / "00000002.history").unlink()
    result = listed(walrx, world, directory)
    assert [t["branch"] for t in result["timelines"]] == ["unknown", "current"]
    assert all(gap["timeline"] == gap["behind_timeline"] for gap in result["gaps"])
    assert (result["window"]["oldest_commit"]["timeline"], result["window"]["unbroken_timeline"]) == (2, 2)


@pytest.mark.parametrize("compress", [None, "gzip", "lz4"])
def test_an_archive_of_pg_receivewal(world, walrx, programs, compress):
    server, directory, it, first, last = archive_with_known_commits(
        world, programs("pg_receivewal"), compress=compress)
    assert it.stop() == 0
    before = ar.tree(directory)
    result = listed(walrx, world, directory)
    assert ar.tree(directory) == before and not (directory / ".walrx").exists()
    assert_lists_what_is_there(result, directory, server.segsize)
    assert result["identity_from"] == "wal" and result["system_identifier"] == server.system_identifier()
    assert result["window"]["oldest_commit"]["time"] == first
    assert result["window"]["newest_commit"]["time"] == last
    assert result["timelines"][0]["open"]["file"] == ar.partials(directory)[0].name
    assert result["warning"] is None


@pytest.mark.slow
@pytest.mark.parametrize("compress", [None, "zstd:1"])
def test_beside_a_running_receiver(world, walrx, compress):
    """Files change their names all the time; no hole is seen, and the receiver notices nothing."""
    server = world.server(conf=TRACK)
    server.create_slot("arch")
    directory = world.archive()
    it = world.receive(walrx, directory, server, slot="arch", compress=compress)
    it.wait_streaming(server)
    positions, times = [], []
    with Load(server, switch_every=2) as load:
        for _ in range(40):
            load.run_rounds(2)
            result = listed(walrx, world, directory)
            assert result["gaps"] == [] and result["warning"] is None, result
            assert result["files"]["wrong_size"]["files"] == 0
            positions.append(result["wal"]["segments"])
            if result["window"]:
                times.append(result["window"]["newest_commit"]["time"])
    assert positions == sorted(positions) and positions[-1] > positions[0] + 10
    times = [t for t in times if t]
    assert times == sorted(times) and len(set(times)) > 20
    assert it.running() and it.stop() == 0
    assert "warning" not in it.log()


def test_an_empty_directory_and_one_that_is_missing(world, walrx):
    directory = world.archive()
    result = listed(walrx, world, directory)
    assert result["system_identifier"] is None and result["timelines"] == [] and result["window"] is None
    assert list(directory.iterdir()) == []
    assert "not known" in call(walrx, world, directory).stdout
    done = call(walrx, world, directory / "nosuch")
    assert done.returncode == 1 and done.stdout == "" and "nosuch" in done.stderr


def test_files_that_are_in_the_way_are_counted(world, walrx):
    server, directory, it, *_ = archive_with_known_commits(world, walrx)
    assert it.stop() == 0
    names = list(ar.segments(directory))
    ar.run(["zstd", "-q", directory / names[0]])
    (directory / "notes.txt").write_text("12345")
    (directory / (names[1] + ".partial")).write_bytes(b"old")
    (directory / (names[1] + ".00000028.backup")).write_bytes(b"START WAL LOCATION")
    (directory / names[-1]).write_bytes(b"")
    quarantine = directory / ".walrx" / "quarantine"
    quarantine.mkdir()
    (quarantine / names[0]).write_bytes(b"abc")
    files = listed(walrx, world, directory)["files"]
    assert files["duplicates"]["files"] == 1
    assert files["foreign"] == {"files": 1, "disk_bytes": 5}
    assert files["old_partials"] == {"files": 1, "disk_bytes": 3}
    assert files["backup_histories"]["files"] == 1
    assert files["wrong_size"] == {"files": 1, "disk_bytes": 0}
    assert files["quarantine"] == {"files": 1, "disk_bytes": 3}
    text = call(walrx, world, directory).stdout
    for word in ("duplicates", "old partials", "other files", "quarantine", f"for example {names[-1]}"):
        assert word in text, text
