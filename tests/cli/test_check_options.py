# SPDX-License-Identifier: PostgreSQL
"""`walrx check` as monitoring calls it: one line on standard output whatever happens, statuses of plugins."""

import fcntl
import json
import os
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from conftest import TREE

SEED = json.loads((TREE / "tests/fuzz/corpus/status/seed-stopped").read_text())
OK, WARNING, CRITICAL, UNKNOWN = range(4)
PERFDATA = re.compile(r"[a-z-]+=\d+(\.\d+)?[Bs]?;(\d+(\.\d+)?:?)?;(\d+(\.\d+)?:?)?;0")


@pytest.fixture
def check(walrx, tmp_path):
    def call(*args):
        done = walrx("check", "-D", tmp_path, *args)
        assert done.stderr == "" and done.stdout.count("\n") == 1, done
        line = done.stdout[:-1]
        assert line.startswith(f"WALRX {('OK', 'WARNING', 'CRITICAL', 'UNKNOWN')[done.returncode]} - "), done
        text, _, figures = line.partition(" | ")
        assert all(PERFDATA.fullmatch(figure) for figure in figures.split()), figures
        return done.returncode, text, {it.split("=")[0]: it.split("=")[1] for it in figures.split()}
    return call


@pytest.fixture
def state(tmp_path):
    """Writes a state like that of a live receiver, and holds the lock as one."""
    (tmp_path / ".walrx").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)

    def call(seconds_ago=1, **changes):
        told = json.loads(json.dumps(SEED))
        at = datetime.now(timezone.utc) - timedelta(seconds=seconds_ago)
        told["at"] = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        told["process"].update(pid=os.getpid(), stopped=None, exit_status=None, held_by=None, state="streaming",
                               state_interval_seconds=12)
        told["lag"] = {name: {"bytes": 0, "seconds": 0} for name in told["lag"]}
        told["monitor"] = None
        for path, value in changes.items():
            *folders, name = path.split("__")
            place = told
            for folder in folders:
                place = place[folder]
            place[name] = value
        told["pg_stat_wal_receiver"].update(pid=os.getpid(), status=told["process"]["state"])
        (tmp_path / ".walrx" / "state.json").write_text(json.dumps(told))
    yield call
    os.close(fd)


def test_ok_with_figures(check, state):
    state()
    code, text, figures = check()
    assert code == OK and "streaming timeline 1 from 127.0.0.1:24534, durable WAL is 0 bytes" in text
    assert figures["flushed-lag"] == "0B;104857600;1073741824;0"
    assert figures["free-disk"].endswith(":;0") and "slot-safe" not in figures


def test_thresholds_and_what_exceeds_them(check, state):
    state(lag__flushed__bytes=3 << 20, gaps__recorded=1)
    code, text, _ = check()
    assert code == CRITICAL and "gaps is 1, more than 0" in text
    assert check("-c", "gaps=1")[0] == OK
    code, text, figures = check("-c", "gaps=off", "--warning=2MB")
    assert code == WARNING and "flushed-lag is 3.0 MB, more than 2.0 MB" in text
    assert figures["flushed-lag"] == "3145728B;2097152;1073741824;0" and figures["gaps"] == "1;;;0"
    assert check("-c", "gaps=off", "-c", "flushed-lag=2MB", "-w", "off")[0] == CRITICAL


def test_paused_silent_and_stopped(check, state):
    state(process__held_by="room")
    assert check()[:2][0] == CRITICAL and "no room" in check()[1]
    state(process__state="restarting")
    code, text, _ = check()
    assert code == WARNING and "the connection is gone" in text
    assert check("-c", "message-age=1s")[0] == CRITICAL
    state(seconds_ago=20)
    assert check()[0] == WARNING and "has not written its state for 2" in check()[1]
    state(seconds_ago=40)
    assert check()[0] == CRITICAL


def test_dead_and_unknown(check, tmp_path):
    assert check()[0] == UNKNOWN and "none runs" in check()[1]
    (tmp_path / ".walrx").mkdir()
    (tmp_path / ".walrx" / "state.json").write_text("{")
    code, text, _ = check()
    assert code == CRITICAL and "cannot be used" in text
    told = json.loads(json.dumps(SEED))
    told["last_error"].update(message="a|b\n\t\x1b[2J\u20ac")
    (tmp_path / ".walrx" / "state.json").write_text(json.dumps(told))
    code, text, figures = check()
    assert code == CRITICAL and "ended 2026-03-01T12:00:00Z" in text and "with exit status 2" in text
    assert text.endswith(": a/b   [2J\u20ac") and figures == {}


def test_a_state_that_cannot_be_used_beside_a_live_receiver(check, state, tmp_path):
    (tmp_path / ".walrx" / "state.json").write_text('{"format_version": 2}')
    code, text, _ = check()
    assert code == UNKNOWN and "a receiver runs, but file" in text
    (tmp_path / ".walrx" / "state.json").unlink()
    assert check()[0] == WARNING


@pytest.mark.parametrize("args,words", [
    (["-D", "/nosuch"], "nosuch"), (["-w", "lag=1"], 'unknown threshold "lag"'), (["-c", "queue=1s"], "for queue"),
    (["-w"], "requires a value"), (["--nosuch"], "unrecognized option"), (["x"], "too many"), (["-h", "db"], "-h")])
def test_mistakes_are_unknown(walrx, args, words):
    done = walrx("check", *args)
    assert done.returncode == UNKNOWN and done.stderr == "" and done.stdout.count("\n") == 1
    assert done.stdout.startswith("WALRX UNKNOWN - ") and words in done.stdout


def test_help_and_version_are_unknown_as_well(walrx):
    for arg in ("--help", "-?"):
        done = walrx("check", arg)
        assert done.returncode == UNKNOWN and "Usage:\n  walrx check" in done.stdout and done.stderr == ""
        assert max(map(len, done.stdout.splitlines())) <= 80
    done = walrx("check", "-V")
    assert done.returncode == UNKNOWN and re.fullmatch(r"walrx \d+\.\d+\.\d+\n", done.stdout)
    assert walrx("help", "check").returncode == 0


def test_manual_has_each_threshold_with_its_defaults(walrx):
    listed = re.search(r"^NAME .*?\n(.*?)\n\n", walrx("check", "--help").stdout, re.M | re.S)[1]
    shown = re.findall(r"^([a-z-]+)  +(\S.*?)  +(\S.*?)  ", listed, re.M)
    manual = (TREE / "docs/man/walrx-check.1").read_text()
    assert len(shown) == 16
    assert re.findall(r"^\.It Cm ([a-z-]+) Pq (.*), (.*)$", manual, re.M) == shown


@pytest.mark.skipif(not shutil.which("setpriv") or os.geteuid() != 0, reason="needs root and setpriv")
def test_an_archive_that_may_not_be_read(program, state, tmp_path):
    state()
    (tmp_path / ".walrx").chmod(0o700)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and folder != folder.parent and folder.name.startswith(("pytest-", "test_")):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    copy = tmp_path / "walrx"
    shutil.copy(program, copy)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, "check", "-D", tmp_path],
                          capture_output=True, text=True, check=False)
    assert done.returncode == UNKNOWN and "Permission denied" in done.stdout, done
