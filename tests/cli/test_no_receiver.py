# SPDX-License-Identifier: PostgreSQL
"""`walrx status` and `walrx wait` where no receiver ever ran."""

import fcntl
import json
import os

from conftest import TREE


def test_status_of_no_directory(walrx, tmp_path):
    done = walrx("status", "-D", tmp_path / "nosuch")
    assert done.returncode == 1 and done.stdout == "" and "nosuch" in done.stderr


def test_status_of_a_directory_without_state(walrx, tmp_path):
    for args in ([], ["-D", tmp_path]):
        done = walrx("status", *args, cwd=tmp_path)
        assert done.returncode == 3 and done.stdout.startswith("receiver            NOT RUNNING\n"), done
    done = walrx("status", "-D", tmp_path, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout) == {"format_version": 1, "running": False, "pid": None,
                                       "state_age_seconds": None, "stale": False, "receiver": None}
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_a_receiver(walrx, tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    done = walrx("status", "-D", tmp_path)
    assert done.returncode == 0 and f"running, process {os.getpid()}; it has not told" in done.stdout
    fcntl.flock(fd, fcntl.LOCK_SH)  # somebody who looks
    assert walrx("status", "-D", tmp_path).returncode == 3
    os.close(fd)


def test_damaged_states_are_told(walrx, tmp_path):
    (tmp_path / ".walrx").mkdir()
    for text in (b"", b"{", b"\xff\xfe", b"[]", b'{"format_version": 2}', b"x" * 400000, b"[" * 100000):
        (tmp_path / ".walrx" / "state.json").write_bytes(text)
        done = walrx("status", "-D", tmp_path)
        assert done.returncode == 3 and "state.json\" cannot be used: " in done.stdout, (text[:20], done)
        assert walrx("status", "-D", tmp_path, "--json").returncode == 3


def test_what_a_state_says_does_not_command_the_terminal(walrx, tmp_path):
    seed = json.loads((TREE / "tests" / "fuzz" / "corpus" / "status" / "seed-stopped").read_text())
    seed["last_error"].update(message="a\n\t\x1b[2Jb\x7f\x9bc\u20ac", hint=None)
    (tmp_path / ".walrx").mkdir()
    (tmp_path / ".walrx" / "state.json").write_text(json.dumps(seed))
    done = walrx("status", "-D", tmp_path)
    assert done.returncode == 3 and "Z: a [2Jb c\u20ac\n" in done.stdout, done
    assert "NOT RUNNING: ended 2026-03-01T12:00:00Z" in done.stdout and "with exit status 2" in done.stdout


def test_wait_where_nothing_is(walrx, tmp_path):
    done = walrx("wait", "-D", tmp_path, "--lsn=0/5000", "--timeout=50ms")
    assert done.returncode == 1 and done.stdout == ""
    assert "no receiver runs in" in done.stderr and "It is not known how far" in done.stderr
    assert walrx("wait", "-D", tmp_path / "nosuch", "--lsn=0/5000").returncode == 1
