# SPDX-License-Identifier: PostgreSQL
"""`walrx verify` on archives of real servers, held against pg_waldump: as many records, the same end,
and of each changed byte that stops pg_waldump the same record."""

import json
import os
import pty
import random
import re
import shutil
import subprocess

import pytest
from harness import archive as ar
from harness.postgres import BINDIR, Load
from harness.util import as_server, clean_env, lsn, run, terminal_text
from test_gap import archive_behind
from test_timelines import fail_over, multi_host

SOUND, NOT_SOUND, UNREADABLE = 0, 1, 3
PAGE = 8192
BKP_REMOVABLE = (2, 0x04)  # the flag in page headers that means nothing to a reader


def verify(world, walrx, directory, *args, timeout=120):
    return run([walrx.command[0], "verify", "-D", directory, *args], env=clean_env(world.base), check=False,
               timeout=timeout)


def verify_json(world, walrx, directory, status, *args):
    done = verify(world, walrx, directory, "--json", *args)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert result["sound"] == (status == SOUND)
    return result


def dump(directory, names, bindir=BINDIR):
    """The records that pg_waldump finds in these segments, as positions, and where and why it ends."""
    done = run([bindir / "pg_waldump", "-p", directory, names[0], names[-1]], check=False)
    found = [lsn(m) for m in re.findall(r"lsn: (\S+), prev", done.stdout)]
    return found, done.stderr


def plain_copy(directory, target):
    """The archive as pg_waldump reads it: everything raw and under complete names."""
    shutil.copytree(directory, target, ignore=shutil.ignore_patterns(".walrx"))
    target.chmod(0o755)
    for path in sorted(target.iterdir()):
        match = ar.SEGMENT.fullmatch(path.name)
        if match and match[2]:
            (target / match[1]).write_bytes(ar.content(path))
            path.unlink()
        elif path.name.endswith(".partial"):
            path.rename(target / path.name.removesuffix(".partial"))
    for path in target.iterdir():
        path.chmod(0o644)
    return target


def some_archive(world, walrx, compress=None, rounds=25):
    """A server under load with switches and checkpoints, all of it archived."""
    server = world.server()
    directory = world.archive()
    it = world.receive(walrx, directory, server, compress=compress)
    it.wait_streaming(server)
    with Load(server) as load:
        load.run_rounds(rounds)
    server.fill_segments(2)
    server.insert(rows=20)
    it.wait_received(server)
    assert it.stop() == 0
    return server, directory


def only_range(result, timeline=1):
    [found] = [t for t in result["timelines"] if t["timeline"] == timeline]
    [only] = found["ranges"]
    return only


@pytest.mark.parametrize("compress", [None, "gzip:1", "lz4", "zstd:1"])
def test_counts_what_pg_waldump_counts(world, walrx, compress):
    server, directory = some_archive(world, walrx, compress)
    before = ar.tree(directory)
    result = verify_json(world, walrx, directory, SOUND)
    assert ar.tree(directory) == before
    assert verify_json(world, walrx, directory, SOUND, "-j", "1")["records"] == result["records"]
    plain = plain_copy(directory, world.base / "plain")
    names = sorted(p.name for p in plain.iterdir() if ar.SEGMENT.fullmatch(p.name))
    records, reason = dump(plain, names)
    assert result["records"] == len(records)
    assert result["segments"] == len(names)
    assert result["system_identifier"] == server.system_identifier()
    assert result["segment_size"] == server.segsize and result["server_major"] == 15
    assert result["problems"] == [] and result["problem_count"] == 0 and result["gaps"] == []
    run_ = only_range(result)
    assert run_["segments"] == len(names) and run_["first_file"].startswith(names[0])
    assert run_["last_file"] == names[-1] + ".partial" and run_["tail"]["partial"]
    end = lsn(run_["tail"]["whole_to_lsn"])
    assert records[-1] < end and end == lsn(re.search(r"invalid record length at (\S+):", reason)[1])
    assert end == server.flush_lsn() and not run_["tail"]["record_open"]
    assert run_["tail"]["zero_bytes"] > 0 and run_["tail"]["old_wal_bytes"] == 0


def test_timelines_of_a_promotion(world, walrx):
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
    result = verify_json(world, walrx, directory, SOUND)
    assert [t["timeline"] for t in result["timelines"]] == [1, 2]
    old, new = result["timelines"]
    assert old["parent"] is None and new["parent"] == 1 and new["history_file"]
    assert old["ranges"][0]["tail"]["whole_to_lsn"] == new["switch_lsn"]
    plain = plain_copy(directory, world.base / "plain")
    counted = 0
    for timeline in ("00000001", "00000002"):
        names = sorted(p.name for p in plain.iterdir() if p.name.startswith(timeline) and ".h" not in p.name)
        records, _ = dump(plain, names)
        counted += len(records)
    assert result["records"] == counted
    # one bit of WAL that both timelines hold
    [partial] = [p for p in ar.partials(directory) if p.name.startswith("00000001")]
    spoiled = bytearray(partial.read_bytes())
    spoiled[100] ^= 1
    partial.write_bytes(spoiled)
    problems = verify_json(world, walrx, directory, NOT_SOUND)["problems"]
    assert {p["kind"] for p in problems} == {"damage", "difference"}
    spoiled[100] ^= 1
    partial.write_bytes(spoiled)
    (directory / "00000002.history").unlink()
    [problem] = verify_json(world, walrx, directory, NOT_SOUND)["problems"]
    assert problem["kind"] == "history" and problem["file"] == "00000002.history"


def test_finds_each_flip_at_the_record_where_pg_waldump_stops(world, walrx):
    """One byte at a time, anywhere in a segment: found at the same record, and those that pg_waldump
    does not see (padding, pages behind a switch) too."""
    _, directory = some_archive(world, walrx)
    plain = plain_copy(directory, world.base / "plain")
    names = sorted(p.name for p in plain.iterdir() if ar.SEGMENT.fullmatch(p.name))
    target = names[len(names) // 2]
    good = (plain / target).read_bytes()
    used = len(good.rstrip(b"\0"))  # the rest, behind a switch, is nothing but page headers
    whole, _ = dump(plain, names)
    seed = int(os.environ.get("WALRX_TEST_SEED", random.randrange(1 << 30)))
    chance = random.Random(seed)
    seen = 0
    for _ in range(40):
        at, bit = chance.randrange(len(good) if chance.random() < 0.3 else used), 1 << chance.randrange(8)
        if chance.random() < 0.3:
            at = at // PAGE * PAGE + chance.randrange(24)
        spoiled = bytearray(good)
        spoiled[at] ^= bit
        for where in (plain, directory):
            (where / target).write_bytes(spoiled)
        told = f"seed {seed}: byte {at} of {target}, bit {bit:#x}"
        has_header = any(good[at // PAGE * PAGE:][:PAGE])  # not so behind a switch
        if (at % PAGE, bit) == BKP_REMOVABLE and has_header:
            verify_json(world, walrx, directory, SOUND)
            continue
        result = verify_json(world, walrx, directory, NOT_SOUND)
        problems = result["problems"]
        assert len(problems) == 1, f"{told}: {problems}"
        records, reason = dump(plain, names)
        if len(records) == len(whole):
            assert problems[0]["kind"] == "stray", told
            continue
        seen += 1
        stopped = whole[len(records)]
        begin, end = lsn(problems[0]["begin_lsn"]), lsn(problems[0]["end_lsn"])
        # pg_waldump prints a record once the next one is found, so it may stop one earlier
        # It minds a newer timeline in a page header only at the next page.
        if "timeline" not in problems[0]["message"]:
            assert whole[len(records) - 1] < begin <= whole[len(records) + 1], f"{told}: {problems} {reason}"
        assert begin <= max(stopped, ar.segment_number(target, len(good)) * len(good) + at) < end + PAGE, told
    assert seen > 5
    for where in (plain, directory):
        (where / target).write_bytes(good)
    verify_json(world, walrx, directory, SOUND)


def test_finds_all_damaged_segments_not_only_the_first(world, walrx):
    _, directory = some_archive(world, walrx, "zstd:1")
    names = sorted(ar.segments(directory).items())[1:8:2]
    for _, path in names:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    result = verify_json(world, walrx, directory, NOT_SOUND)
    for p in result["problems"]:
        assert lsn(p["begin_lsn"]) <= lsn(p["lsn"]) < lsn(p["end_lsn"]), p
    blamed = {p["file"] for p in result["problems"]}
    assert {path.name for _, path in names} <= blamed, result["problems"]


def test_gaps_are_told_apart(world, walrx):
    server, directory, missing = archive_behind(world, walrx, "0")
    it = world.receive(walrx, directory, server, "--on-gap=continue")
    it.wait_streaming(server)
    server.fill_segments(3)
    it.wait_received(server)
    assert it.stop() == 0
    result = verify_json(world, walrx, directory, SOUND)
    [gap] = result["gaps"]
    assert gap["recorded"] and gap["first_missing"] == missing
    assert gap["file_after"] > missing and lsn(gap["begin_lsn"]) < lsn(gap["end_lsn"])
    names = sorted(n for n in ar.segments(directory) if n > missing)
    (directory / names[1]).unlink()
    result = verify_json(world, walrx, directory, NOT_SOUND)
    assert [g["recorded"] for g in result["gaps"]] == [True, False]
    gap = result["gaps"][1]
    assert gap["file_before"] == names[0] and gap["first_missing"] == gap["last_missing"] == names[1]
    assert gap["bytes"] == server.segsize
    text = verify(world, walrx, directory)
    assert text.returncode == NOT_SOUND and text.stderr == ""
    assert "unexplained" in text.stdout and "recorded" in text.stdout
    assert text.stdout.splitlines()[-1] == "NOT sound: 0 problems, 1 unexplained gap"


def test_a_file_that_cannot_be_read_is_status_3(world, walrx):
    _, directory = some_archive(world, walrx, rounds=8)
    name = sorted(ar.segments(directory))[1]
    (directory / name).unlink()
    (directory / name).mkdir()
    result = verify_json(world, walrx, directory, UNREADABLE)
    [problem] = result["problems"]
    assert problem["kind"] == "unreadable" and problem["file"] == name and "Is a directory" in problem["message"]


@pytest.mark.parametrize("compress", [None, "zstd:1"])
def test_beside_a_receiver(world, walrx, compress):
    """Again and again while segments are written, completed and compressed: never a false alarm."""
    server = world.server()
    directory = world.archive()
    it = world.receive(walrx, directory, server, compress=compress)
    it.wait_streaming(server)
    server.fill_segments(1)
    with Load(server, rows=300, switch_every=3) as load:
        for _ in range(15):
            done = verify(world, walrx, directory)
            assert done.returncode == SOUND, done.stdout + done.stderr
            load.run_rounds(2)
    assert it.stop() == 0


def test_archives_of_pg_receivewal(world, programs):
    walrx = programs("walrx")
    server = world.server()
    directory = world.archive()
    it = world.receive(programs("pg_receivewal"), directory, server, compress="gzip:1")
    it.wait_streaming(server)
    server.fill_segments(2)
    server.insert(rows=20)
    it.wait_received(server)
    assert it.stop() == 0
    assert not (directory / ".walrx").exists()
    result = verify_json(world, walrx, directory, SOUND)
    tail = only_range(result)["tail"]
    assert tail["partial"] and lsn(tail["whole_to_lsn"]) == server.flush_lsn()
    assert not (directory / ".walrx").exists()


def test_a_bar_only_on_a_terminal(world, walrx):
    _, directory = some_archive(world, walrx, rounds=5)
    assert verify(world, walrx, directory).stderr == ""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(as_server([walrx.command[0], "verify", "-D", directory]), stderr=theirs,
                             stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=clean_env(world.base), cwd="/")
    os.close(theirs)
    out, _ = child.communicate(timeout=60)
    shown = terminal_text(ours)
    assert child.returncode == SOUND and b"sound" in out and b"\r" not in out
    assert "100 %" in shown and "MB/s" in shown
    assert shown.endswith("\r" + " " * 78 + "\r")
