# SPDX-License-Identifier: PostgreSQL
"""`walrx stats` and the segment index behind it: the figures are those of pg_waldump --stats, whether they
come from the index that the receiver wrote, from one that was spoilt, or from the WAL."""

import json
import os
import re
import shutil

import pytest
from harness import archive as ar
from harness.postgres import BINDIR, Load
from harness.util import clean_env, lsn, lsn_text, run, wait_until
from test_list import TRACK, commit, listed
from test_timelines import fail_over, multi_host
from test_verify import plain_copy, some_archive

NEVER = 1 << 60
COUNTS = {"records", "record_bytes", "fpi_bytes", "bytes"}
TRANSACTIONS = {"commits", "aborts", "restore_points", "first_commit", "last_commit", "wal_bytes_per_second",
                "commits_per_second"}
RANGE = {"first_segment", "last_segment", "last_is_open", "begin_lsn", "end_lsn", "segments", "segments_missing",
         "segments_from_index", "heads_unknown"}


def call(walrx, world, directory, *args):
    return run([walrx.command[0], "stats", "-D", directory, *args], env=clean_env(world.base), check=False, timeout=60)


def stats(walrx, world, directory, *args):
    done = call(walrx, world, directory, "--json", *args)
    assert done.returncode == 0 and done.stderr == "", done
    result = json.loads(done.stdout)
    assert set(result) == {"format_version", "directory", "timeline", "server_major", "range", "transactions", "total",
                           "resource_managers"}
    assert result["format_version"] == 1
    assert set(result["range"]) == RANGE and set(result["transactions"]) == TRANSACTIONS
    assert set(result["total"]) == COUNTS
    for row in result["resource_managers"]:
        assert set(row) == COUNTS | {"id", "name"}
    for key in COUNTS:
        assert result["total"][key] == sum(row[key] for row in result["resource_managers"])
    return result


def without_source(result):
    """The result but for whether the index or the WAL gave it."""
    return {**result, "range": {**result["range"], "segments_from_index": None}}


def rows_of(result):
    return {row["name"]: (row["records"], row["record_bytes"], row["fpi_bytes"], row["bytes"])
            for row in result["resource_managers"]}


def counted(plain, first, last, bindir=BINDIR):
    """What pg_waldump --stats counts in these segments."""
    out = run([bindir / "pg_waldump", "--stats", "-p", plain, first, last], check=False).stdout
    found = {}
    for line in out.splitlines():
        words = line.replace("(", " ").replace(")", " ").split()
        if len(words) == 9 and words[1].isdigit() and words[1] != "0":
            found[words[0]] = tuple(int(words[i]) for i in (1, 3, 5, 7))
    assert found, out
    return found


def assert_same_counts(world, walrx, directory, plain, bindir=BINDIR):
    """From the first segment on: there pg_waldump, too, leaves out the record that the range begins with."""
    names = sorted(p.name for p in plain.iterdir() if ar.SEGMENT.fullmatch(p.name))
    result = stats(walrx, world, directory)
    assert rows_of(result) == counted(plain, names[0], names[-1], bindir)
    assert result["range"]["segments"] == len(names)
    assert result["range"]["first_segment"] == names[0] and result["range"]["last_segment"] == names[-1]
    return result


def index_of(directory):
    return sorted((directory / ".walrx" / "index").iterdir())


@pytest.mark.parametrize("compress", [None, "gzip:1", "lz4", "zstd:1"])
def test_counts_what_pg_waldump_counts(world, walrx, compress):
    server, directory = some_archive(world, walrx, compress)
    plain = plain_copy(directory, world.base / "plain")
    result = assert_same_counts(world, walrx, directory, plain)
    complete = len(ar.segments(directory))
    assert result["range"]["segments_from_index"] == complete and result["range"]["last_is_open"]
    assert result["range"]["segments_missing"] == 0 and result["server_major"] == 15
    assert lsn(result["range"]["end_lsn"]) == server.flush_lsn()
    # Without the index, then with the one that this leaves behind.
    shutil.rmtree(directory / ".walrx" / "index")
    again = stats(walrx, world, directory)
    assert again["range"]["segments_from_index"] == 0 and without_source(again) == without_source(result)
    assert stats(walrx, world, directory) == result
    # A copy without .walrx is only read.
    alone = world.base / "alone"
    shutil.copytree(directory, alone, ignore=shutil.ignore_patterns(".walrx"))
    alone.chmod(0o755)
    for path in alone.iterdir():
        path.chmod(0o644)
    before = ar.tree(alone)
    assert rows_of(stats(walrx, world, alone)) == rows_of(result)
    assert ar.tree(alone) == before


def test_a_range_counts_the_records_that_end_in_it(world, walrx):
    server = world.server()
    directory = world.archive()
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    with Load(server, rows=600, switch_every=NEVER) as load:
        load.run_rounds(15)
    it.wait_received(server)
    assert it.stop() == 0
    plain = plain_copy(directory, world.base / "plain")
    names = list(ar.segments(directory))
    segsize = 1 << 20
    whole = stats(walrx, world, directory, names[0], names[-1])
    parts = [stats(walrx, world, directory, name, name) for name in names]
    for key in COUNTS:
        assert whole["total"][key] == sum(part["total"][key] for part in parts)
    crossing = 0
    for name, part in zip(names[1:], parts[1:]):
        first_is_continued = (plain / name).read_bytes()[2] & 1  # xlp_info, XLP_FIRST_IS_CONTRECORD
        crossing += first_is_continued
        alone = sum(row[0] for row in counted(plain, name, name).values())
        assert part["total"]["records"] - alone == first_is_continued, name
    assert crossing > 0
    # Positions stand for the segments that hold them.
    first, last = (ar.segment_number(name, segsize) * segsize for name in (names[1], names[2]))
    by_name = stats(walrx, world, directory, names[1], names[2])
    assert stats(walrx, world, directory, lsn_text(first), lsn_text(last + segsize)) == by_name
    assert stats(walrx, world, directory, lsn_text(first + 77), lsn_text(last + 1)) == by_name
    assert stats(walrx, world, directory, names[1])["range"]["last_is_open"]


def test_transactions_are_those_of_the_server(world, walrx):
    server = world.server(conf={**TRACK, "max_prepared_transactions": 5})
    server.create_table()
    server.switch()
    server.sql("checkpoint")
    server.create_slot("arch")
    directory = world.archive()
    it = world.receive(walrx, directory, server, slot="arch")
    it.wait_streaming(server)
    first = commit(server)
    for _ in range(3):
        commit(server)
    server.script("begin; insert into load(filler) values ('a'); rollback;"
                  "begin; insert into load(filler) values ('p'); prepare transaction 'p1'; commit prepared 'p1';"
                  "begin; insert into load(filler) values ('p'); prepare transaction 'p2'; rollback prepared 'p2';"
                  "do $$ begin perform pg_create_restore_point('here'); end $$;")
    ar.wait_complete(directory, server.switch())
    last = commit(server)
    it.wait_received(server)
    assert it.stop() == 0
    found = stats(walrx, world, directory)["transactions"]
    # Autovacuum and others may have more of both.
    assert found["commits"] >= 6 and found["aborts"] >= 2 and found["restore_points"] == 1
    assert found["first_commit"]["time"] == first and found["last_commit"]["time"] == last
    assert found["wal_bytes_per_second"] > 0 and found["commits_per_second"] > 0
    window = listed(walrx, world, directory)["window"]
    assert window["oldest_commit"]["time"] == first and window["newest_commit"]["time"] == last
    text = call(walrx, world, directory).stdout
    assert f"first commit       {first} at {found['first_commit']['lsn']}\n" in text
    assert re.search(r"^Transaction +\d+ \( *\d+\.\d\d\) ", text, re.M) and re.search(r"^Total +\d+ ", text, re.M)


def test_along_timelines(world, walrx):
    a = world.server()
    b = world.standby(a)
    directory = world.archive()
    it = world.receive(walrx, directory, multi_host(a, b), compress="lz4")
    it.wait_streaming(a)
    a.fill_segments(2)
    a.insert(rows=50)
    fail_over(a, b)
    it.wait_streaming(b)
    b.fill_segments(2)
    b.insert(rows=50)
    it.wait_received(b)
    assert it.stop() == 0
    result = stats(walrx, world, directory)
    assert result["timeline"] == 2 and result["range"]["segments_missing"] == 0
    assert result["range"]["first_segment"].startswith("00000001")
    assert result["range"]["last_segment"].startswith("00000002")
    old = stats(walrx, world, directory, "--timeline=1")
    assert old["timeline"] == 1 and old["range"]["last_segment"].startswith("00000001")
    shutil.rmtree(directory / ".walrx" / "index")
    assert without_source(stats(walrx, world, directory)) == without_source(result)
    # The segment of the fork belongs to the new timeline there.
    fork = old["range"]["last_segment"]
    done = call(walrx, world, directory, fork)
    assert done.returncode == 1 and "not on the history of timeline 2" in done.stderr
    done = call(walrx, world, directory, "--timeline=7")
    assert done.returncode == 1 and "no WAL of timeline 7" in done.stderr
    (directory / "00000002.history").unlink()
    done = call(walrx, world, directory)
    assert done.returncode == 2 and "00000002.history" in done.stderr


def test_holes_and_damage_are_told(world, walrx):
    _, directory = some_archive(world, walrx)
    names = list(ar.segments(directory))
    (directory / names[2]).unlink()
    result = stats(walrx, world, directory)
    assert result["range"]["segments_missing"] == 1
    assert "1 segment in between" in call(walrx, world, directory).stdout
    done = call(walrx, world, directory, names[2], names[2])
    assert done.returncode == 1 and f"has no segment from {names[2]} to {names[2]}" in done.stderr
    # Other bytes under the name: the index no longer stands for them.
    path = directory / names[1]
    content = bytearray(path.read_bytes())
    content[100000] ^= 1
    path.write_bytes(content)
    done = call(walrx, world, directory)
    assert done.returncode == 2 and f'{names[1]}" is damaged at ' in done.stderr
    assert call(walrx, world, directory, names[3]).returncode == 0


@pytest.mark.parametrize("args, text", [
    (("0/1000000", "0/2000000", "x"), 'too many operands, first is "x"'),
    (("elsewhere",), '"elsewhere" is neither a position nor the name of a segment'),
    (("00000002.history",), "neither a position nor"),
    (("0/5000000", "0/1000000"), '"0/1000000" lies before "0/5000000"'),
    (("0000000100000000FFFFFFFF",), "is no segment of 1048576 bytes"),
    (("FFFF/0",), "has no segment from 000000010000FFFF00000000 on"),
    (("--timeline=x",), 'invalid value "x" for option --timeline'),
])
def test_refuses_what_is_no_range(world, walrx, args, text):
    server = world.server()
    directory = world.archive()
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    ar.wait_complete(directory, server.switch())
    assert it.stop() == 0
    done = call(walrx, world, directory, *args)
    assert done.returncode == 1 and text in done.stderr and done.stdout == ""


def test_an_empty_archive_has_none(world, walrx):
    directory = world.archive()
    done = call(walrx, world, directory)
    assert done.returncode == 1 and "there is no WAL in" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("compress", [None, "zstd:1"])
def test_kills_while_the_index_is_written(world, walrx, compress):
    """Whatever the kills leave of it, and with a head that no run has seen from its beginning."""
    server = world.server()
    directory = world.archive()
    it = world.receive(walrx, directory, server, compress=compress)
    it.wait_streaming(server)
    with Load(server, rows=600, switch_every=NEVER) as load:
        for _ in range(8):
            load.run_rounds(5)
            it.kill9()
            it.start()
            it.wait_streaming(server)
        load.run_rounds(5)
    it.wait_received(server)
    assert it.stop() == 0
    ar.wait_compressed(directory, ar.suffix_of(compress))
    result = assert_same_counts(world, walrx, directory, plain_copy(directory, world.base / "plain"))
    assert result["range"]["heads_unknown"] <= 1
    for path in index_of(directory):
        with path.open("r+b") as file:  # torn where it was, garbage behind
            file.truncate(path.stat().st_size * 2 // 3)
            file.seek(0, os.SEEK_END)
            file.write(os.urandom(5000))
    again = stats(walrx, world, directory)
    assert without_source(again) == without_source(result)
    assert 0 < again["range"]["segments_from_index"] < result["range"]["segments"]
    for path in index_of(directory):
        path.write_bytes(bytes(path.stat().st_size))
    assert without_source(stats(walrx, world, directory)) == without_source(result)


def test_an_index_that_cannot_be_written_is_told_once(world, walrx):
    server = world.server()
    directory = world.archive()
    (directory / ".walrx").mkdir(mode=0o700)
    (directory / ".walrx" / "index").write_text("in the way")
    os.chown(directory / ".walrx", directory.stat().st_uid, directory.stat().st_gid)
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    server.fill_segments(3)
    it.wait_received(server)
    last = server.switch()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    assert it.log().count("could not") == 1 and "Only the segment index lacks it" in it.log()
    assert stats(walrx, world, directory)["range"]["segments_from_index"] == 0


def test_without_checking_nothing_is_indexed(world, walrx):
    server = world.server()
    directory = world.archive()
    it = world.receive(walrx, directory, server, "--verify=off")
    it.wait_streaming(server)
    ar.wait_complete(directory, server.switch())
    it.wait_received(server)
    assert it.stop() == 0
    assert not (directory / ".walrx" / "index").exists()
    complete = len(ar.segments(directory))
    result = stats(walrx, world, directory)
    assert result["range"]["segments_from_index"] == 0
    assert stats(walrx, world, directory)["range"]["segments_from_index"] == complete


def test_the_entry_is_there_soon_after_its_segment(world, walrx):
    """Also where nothing follows."""
    server = world.server()
    directory = world.archive()
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    ar.wait_complete(directory, server.switch())

    def known():
        if not ar.segments(directory):
            return False
        found = stats(walrx, world, directory, *(list(ar.segments(directory))[i] for i in (0, -1)))["range"]
        return found["segments_from_index"] == found["segments"]
    wait_until(known, "the index knows all complete segments")
    assert it.stop() == 0
