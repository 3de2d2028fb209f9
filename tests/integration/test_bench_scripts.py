# SPDX-License-Identifier: PostgreSQL
"""The programs of bench/ work and print what their readers expect. Nothing is timed here."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.util import free_port, wait_until

TREE = Path(__file__).resolve().parents[2]
BENCH = TREE / "bench"
BINDIR = os.environ.get("PG_BINDIR", "/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def build():
    """The folder that walrx was built in: the programs of bench/ lie beside it."""
    walrx = Path(os.environ.get("WALRX_BIN", TREE / "build/release/src/cli/walrx")).resolve()
    assert (walrx.parents[2] / "bench/sender").is_file(), f"no bench programs beside {walrx}"
    return walrx.parents[2]


def call(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, timeout=120,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def script(name, *arguments):
    return call("/usr/bin/python3", "-B", BENCH / name, *arguments)


def common(build, folder):
    return ["--build", build, "--bindir", BINDIR, "--dir", folder]


def is_spread(figure):
    return figure["min"] <= figure["median"] <= figure["max"] and len(figure["all"]) >= 1


def send(build, end, *options):
    """What the sender says of one session that the discarding reader ended at `end`."""
    port = free_port()
    sender = subprocess.Popen([build / "bench/sender", f"--port={port}", *options], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        where = f"host=127.0.0.1 port={port} user=x sslmode=disable"
        for _ in range(200):
            done = subprocess.run([build / "bench/discard", where, "x", "0/1000000", end], capture_output=True,
                                  text=True, check=False, timeout=30)
            if done.returncode == 0:
                return json.loads(sender.stdout.readline())
            time.sleep(0.02)
        pytest.fail(done.stderr)
    finally:
        sender.kill()
        sender.communicate()


def test_sender_cuts_messages_as_asked(build):
    report = send(build, "0/10FFFFF", "--bytes=1MB", "--message-size=8kB")
    assert (report["sent_bytes"], report["messages"]) == (1 << 20, 128)
    report = send(build, "0/1000FFF", "--bytes=4100B", "--message-size=1000B")
    assert (report["sent_bytes"], report["messages"]) == (4100, 5)


def test_sender_keeps_the_rate_in_whole_messages(build):
    report = send(build, "0/103FFFF", "--bytes=256kB", "--message-size=8kB", "--rate=1MB")
    assert report["messages"] == 32
    assert report["seconds"] >= 0.2  # a quarter of a second; it may take longer, never less


def test_sender_pauses_after_each_message(build):
    report = send(build, "0/100FFFF", "--bytes=64kB", "--message-size=8kB", "--pause=20ms")
    assert report["messages"] == 8
    assert report["seconds"] >= 0.13


def test_micro_measures_every_function(build, tmp_path):
    results = json.loads(call(build / "bench/micro", "--json", "--rounds=2", "--time=1"))
    names = {it["name"] for it in results["results"]}
    assert {"compress gzip:1", "decompress zstd:3", "compress lz4", "crc32c", "scan", "name format", "name parse",
            "histogram record"} <= names
    assert all(0 < it["min"] <= it["median"] <= it["max"] for it in results["results"])
    assert all(it["ratio"] > 2 for it in results["results"] if "compress" in it["name"])
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"no WAL")
    done = subprocess.run([build / "bench/micro", f"--file={stranger}"], capture_output=True, check=False)
    assert done.returncode == 1


def comparison(build, temp_root):
    folder = temp_root / "compare"
    folder.mkdir()
    modes = [f"--mode={name}" for name in ("raw", "lz4", "zstd:1", "tls", "startup", "standby", "latency", "idle")]
    text = script("compare", *common(build, folder), "--json", "--wal=20", "--rounds=1", "--seconds=1", "--scale=1",
                  "--archived=40", "--clients=2", *modes)
    assert list(folder.iterdir()) == []
    return json.loads(text)


def check_bulk(comparison):
    bulk = comparison["bulk"]
    assert set(bulk) == {"ceilings", "raw", "lz4", "zstd:1", "tls"}
    assert set(bulk["ceilings"]) == {"discarding reader", "disk"}
    for row in (bulk["raw"], bulk["lz4"], bulk["tls"]):
        assert {"walrx", "pg_receivewal", "ratio", "share_of_ceiling", "cpu_to_reader"} <= set(row)
    assert "pg_receivewal" not in bulk["zstd:1"] and "ratio" not in bulk["zstd:1"]
    figures = bulk["raw"]["walrx"]
    assert all(is_spread(figures[key]) for key in ("wall_s", "cpu_s", "mb_per_s", "output_mb", "memory_mb"))
    assert bulk["raw"]["walrx"]["output_mb"]["median"] == bulk["raw"]["pg_receivewal"]["output_mb"]["median"] > 0
    assert bulk["lz4"]["walrx"]["output_mb"]["median"] < bulk["raw"]["walrx"]["output_mb"]["median"]


def check_others(comparison):
    assert set(comparison["startup"]) == {"raw", "lz4", "gzip:1", "zstd:1"}
    for row in comparison["startup"].values():
        assert is_spread(row["walrx"]["start_s"]) and row["walrx"]["segments"] == 40
    assert "pg_receivewal" not in comparison["startup"]["zstd:1"]
    standby = comparison["standby"]["2"]
    assert set(standby) == {"none", "pg_receivewal", "walrx", "ratio"} and standby["walrx"]["tps"]["median"] > 0
    assert standby["none"]["cpu_s"]["median"] == 0 < standby["walrx"]["cpu_s"]["median"]
    assert comparison["latency"]["walrx"]["flushes_seen"]["median"] > 100
    assert set(comparison["idle"]) == {"walrx", "pg_receivewal"}
    names = [it["name"] for it in comparison["targets"]]
    assert "raw: share of the lower ceiling" in names
    assert "standby, 2 clients: commits a second to pg_receivewal" in names
    assert all(it["reached"] in (True, False) for it in comparison["targets"])


def check_page(comparison, tmp_path):
    page, results = tmp_path / "page.md", tmp_path / "warm.json"
    page.write_text("before\n<!-- warm -->\nold\n<!-- end of warm -->\nafter\n")
    results.write_text(json.dumps(comparison))
    script("publish", "--warm", results, "--page", page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| raw | walrx |" in text and "| raw: share of the lower ceiling | >= 90 % |" in text


def test_compare_measures_every_mode_and_becomes_a_page(build, temp_root, tmp_path):
    found = comparison(build, temp_root)
    check_bulk(found)
    check_others(found)
    check_page(found, tmp_path)


def test_growth_measures_each_axis_and_draws_the_same_plot_twice(build, tmp_path):
    text = script("growth", *common(build, tmp_path), "--rounds=1", "--megabytes=2", "--seconds=1", "--max-rate=1",
                  "--max-segment=1", "--archived=20")
    results = json.loads(text)
    assert [row["value"] for row in results["segment-size"]] == [1 << 20]
    assert [row["value"] for row in results["message-size"]] == [100, 1024, 8192, 32768, 131072]
    assert [row["value"] for row in results["archive-size"]] == [0, 20]
    assert [row["value"] for row in results["rate"]] == [1 << 20, 0]
    for axis in ("segment-size", "message-size", "rate"):
        for row in results[axis]:
            assert is_spread(row["walrx"]["cpu_s_per_gb"]) and is_spread(row["pg_receivewal"]["wall_s"])
    pytest.importorskip("matplotlib")
    sys.path.insert(0, str(BENCH))
    try:
        from lib import plot
    finally:
        sys.path.remove(str(BENCH))
    for name in ("one", "two"):
        plot.draw_all(results, tmp_path / name)
    for axis in ("segment-size", "message-size", "archive-size", "rate"):
        drawn = (tmp_path / "one" / f"{axis}.svg").read_text()
        assert drawn == (tmp_path / "two" / f"{axis}.svg").read_text() and "walrx" in drawn


def test_recovery_replays_each_load_in_every_way(build, temp_root, tmp_path):
    folder = temp_root / "recovery"
    folder.mkdir()
    names = script("recovery", "--list", *common(build, folder)).splitlines()
    assert {"pg_wal", "cp", "gzip -dc", "lz4 -dcq", "zstd -dcq", "walrx raw", "walrx gzip", "walrx lz4", "walrx zstd"} <= set(names)
    text = script("recovery", *common(build, folder), "--json", "--size=40MB", "--rounds=1", "--scale=1",
                  *(f"--way={name}" for name in names if name in ("cp", "walrx zstd", "pgbackrest lz4")))
    assert list(folder.iterdir()) == []
    results = json.loads(text)
    assert set(results["recovery"]) == {"mixed", "quick"}
    for found in results["recovery"].values():
        assert {"pg_wal", "cp", "walrx zstd"} <= set(found["ways"]) and found["wal_mb"] >= 40
        assert found["archive_mb"]["archive-zstd"] < found["archive_mb"]["archive-raw"]
        for name, row in found["ways"].items():
            assert all(is_spread(row[key]) for key in ("wall_s", "mb_per_s", "to_limit", "server_cpu_s"))
            calls = row["calls"]["median"]
            assert calls == 0 if name == "pg_wal" else calls >= found["wal_mb"] / 17
    page, printed = tmp_path / "page.md", tmp_path / "recovery.json"
    page.write_text("before\n<!-- recovery -->\nold\n<!-- end of recovery -->\n")
    printed.write_text(text)
    script("publish", "--recovery", printed, "--page", page)
    assert "| walrx zstd | " in page.read_text() and "old" not in page.read_text()


def test_recovery_does_not_know_what_it_cannot_try(build, tmp_path):
    command = ["/usr/bin/python3", "-B", BENCH / "recovery", *common(build, tmp_path), "--way=by hand"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and 'no way "by hand" here; there are: pg_wal, cp' in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_comparison_that_is_told_to_end_leaves_nothing(build, temp_root, number):
    folder = temp_root / f"ended-by-{number}"
    folder.mkdir()
    process = subprocess.Popen(["/usr/bin/python3", "-B", BENCH / "compare", *common(build, folder), "--scale=1"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while not list(folder.glob("*/primary-run/.s.PGSQL.*[0-9]")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        lock = next(folder.glob("*/primary/postmaster.pid"))
        pid = int(lock.read_text(encoding="utf-8").split()[0])
        assert Path(f"/proc/{pid}").exists()
        process.send_signal(number)
        process.wait(timeout=60)
        assert process.returncode == 128 + number
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the server's end")  # a moment after its lock file
    assert list(folder.iterdir()) == []
