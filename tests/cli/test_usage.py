# SPDX-License-Identifier: PostgreSQL
"""What walrx says before it connects anywhere: help, versions, usage errors, the name it is called by."""

import re
import subprocess

import pytest


@pytest.fixture(scope="session")
def front(program, tmp_path_factory):
    link = tmp_path_factory.mktemp("front") / "pg_receivewal"
    link.symlink_to(program)
    return link


@pytest.mark.parametrize("args", [["--help"], ["-?"], ["help"], ["help", "receive"], ["receive", "--help"],
                                  ["receive", "-v?"], ["help", "slot"], ["slot", "-?"], ["help", "completion"], ["completion", "--help"],
                                  ["completion", "-?"], ["help", "--help"],
                                  ["slot", "show", "--help"], ["help", "bench"], ["bench", "-?"],
                                  ["status", "-?"], ["wait", "--help"], ["list", "--help"], ["verify", "-?"], ["restore", "--help"], ["find", "-?"], ["stage", "-?"], ["stats", "-?"], ["receive", "-D", "x", "--help"]])
def test_help_goes_to_standard_output(walrx, args):
    done = walrx(*args)
    assert done.returncode == 0 and done.stderr == "" and "Usage:\n  walrx" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_help_shows_defaults(walrx):
    text = " ".join(walrx("receive", "--help").stdout.split())
    for default in ("10s", "1s", "1min", "64MB", "none", "stop", "text"):
        assert f"(default: {default})" in text, default


@pytest.mark.parametrize("args", [["--version"], ["-V"], ["receive", "--version"], ["slot", "-V"], ["bench", "-V"], ["list", "-V"],
                                  ["verify", "-V"], ["restore", "-V"], ["find", "-V"], ["stage", "-V"], ["stats", "-V"], ["status", "-V"], ["wait", "--version"]])
def test_version(walrx, args):
    done = walrx(*args)
    assert done.returncode == 0 and done.stderr == ""
    assert re.fullmatch(r"walrx \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("args", [[], ["nosuch"], ["--nosuch"], ["help", "nosuch"], ["help", "slot", "x"],
                                  ["completion"], ["completion", "zsh"], ["completion", "bash", "x"],
                                  ["receive"], ["slot"], ["slot", "nosuch"], ["slot", "create"],
                                  ["slot", "drop", "-S", "s", "x"], ["slot", "show", "-S", "s", "--if-not-exists"],
                                  ["receive", "-D", "x", "extra"], ["bench", "extra"], ["bench", "-D", "x"],
                                  ["bench", "--sink=disk"], ["bench", "--synchronous"], ["bench", "--compress=lz4"],
                                  ["bench", "--duration=0"], ["bench", "--duration=soon"], ["bench", "--from=x"],
                                  ["status", "extra"], ["status", "--watch", "--json"], ["status", "--interval=1ms"], ["wait"],
                                  ["wait", "--lsn=5"], ["wait", "--lsn=0/0"], ["wait", "--lsn=0/5", "x"], ["list", "extra"], ["list", "--nosuch"], ["list", "--host=x"],
                                  ["bench", "--sink=tape"], ["bench", "--slot=s"], ["bench", "--config=f"],
                                  ["verify"], ["verify", "-D", "x", "y"], ["verify", "-D", "x", "--jobs=257"],
                                  ["verify", "-D", "x", "--jobs=-1"], ["verify", "-D", "x", "-h", "db"],
                                  ["find"], ["find", "x"], ["find", "--latest", "--xid=7"], ["find", "--latest", "--exclusive"],
                                  ["find", "--restore-point=x", "--exclusive"], ["find", "--latest", "--before=0"],
                                  ["find", "--latest", "--after=1001"], ["find", "--xid=0"], ["find", "--xid=2"], ["find", "--xid=-1"],
                                  ["find", "--restore-point="], ["find", "--latest", "--timeline=0"], ["find", "--latest", "--timeline=new"],
                                  ["stage"], ["stage", "-D", "x", "--backup=x", "--into=y"],
                                  ["stage", "-D", "x", "--backup=x", "--into=y", "--latest", "--action=pause"],
                                  ["stage", "-D", "x", "--into=y", "--latest"], ["stage", "--set=x", "--port=0"],
                                  ["stats", "here"], ["stats", "0/1", "0/2", "0/3"], ["stats", "--timeline=0"], ["stats", "0/1", "--x"]])
def test_usage_errors_have_a_hint(walrx, args):
    done = walrx(*args)
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("walrx: error: ")
    assert re.fullmatch(r'walrx: hint: Try "walrx( receive| slot| status| wait| list| verify| restore| find| stage| stats| bench)? --help" for more information\.', lines[-1])


@pytest.mark.parametrize("args", [[], ["-D", "x"], ["-D", "x", "a"], ["-D", "x", "a", "b", "c"], ["a", "b"],
                                  ["-D", "x", "--nosuch", "a", "b"], ["-D", "x", "--partial=maybe", "a", "b"],
                                  ["-D", "x", "b", "000000010000000000000001"], ["-D", "x", "00000002.history", "x/"]])
def test_usage_errors_of_restore_are_no_end_of_the_archive(walrx, args):
    """PostgreSQL takes 1 to 125 for that."""
    done = walrx("restore", *args)
    assert done.returncode == 202 and done.stdout == "" and done.stderr.startswith("walrx: error: "), done


def test_restore_from_nowhere_is_no_end_of_the_archive(walrx, tmp_path):
    for directory in (tmp_path, tmp_path / "nosuch"):
        done = walrx("restore", "-D", directory, "000000010000000000000001", tmp_path / "RECOVERYXLOG")
        assert done.returncode == 200 and done.stdout == "" and done.stderr.startswith("walrx: error: "), done
    assert list(tmp_path.iterdir()) == []


def test_bench_help_shows_defaults(walrx):
    text = " ".join(walrx("bench", "--help").stdout.split())
    for default in ("(default: null)", "(default: 64MB)", "(default: none)", "(10s, and no limit with --endpos)"):
        assert default in text, default
    assert "0ms" not in text


def test_bench_into_a_missing_directory_says_so(walrx, tmp_path):
    done = walrx("bench", "--sink=disk", "-D", tmp_path / "nosuch", "-h", tmp_path)
    assert done.returncode == 1 and done.stdout == "" and "nosuch" in done.stderr


def test_bench_that_cannot_connect_leaves_nothing(walrx, tmp_path):
    done = walrx("bench", "--sink=disk", "-D", tmp_path, "-h", tmp_path, "--json")
    assert done.returncode == 1 and done.stdout == "" and "connection to server" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_verify_of_nothing_says_so(walrx, tmp_path):
    """A mistyped directory must not look like a sound archive."""
    done = walrx("verify", "-D", tmp_path)
    assert done.returncode == 1 and done.stdout == "" and "holds no WAL" in done.stderr
    done = walrx("verify", "-D", tmp_path / "nosuch", "--json")
    assert done.returncode == 1 and done.stdout == "" and "nosuch" in done.stderr


def test_no_secret_is_repeated(walrx, tmp_path):
    config = tmp_path / "walrx.conf"
    for text in ("password = sekret\n", "sekret\n", "sekret = 1\n"):
        config.write_text(text)
        done = walrx("receive", "-D", "x", f"--config={config}")
        assert done.returncode == 1 and "line 1" in done.stderr
        assert "sekret" not in done.stderr or text.startswith("sekret =")
    for args in (["--pasword=sekret"], ["--password=sekret"]):
        done = walrx("receive", "-D", "x", *args)
        assert done.returncode == 1 and "sekret" not in done.stderr


def test_full_standard_output_is_an_error(program):
    with open("/dev/full", "w") as full:
        done = subprocess.run([program, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "could not write to standard output" in done.stderr


def test_front_help_and_version_come_first(walrx, front):
    done = walrx("--version", "nosuch", name=front)
    assert done.returncode == 0 and re.fullmatch(r"pg_receivewal \(PostgreSQL\) 15\.\d+\n", done.stdout)
    done = walrx("-?", name=front)
    assert done.returncode == 0 and "--endpos" in done.stdout and "--flush-interval" not in done.stdout
    for late in ("--help", "--version", "-V", "-?"):
        done = walrx("-D", "x", late, name=front)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.endswith('pg_receivewal: hint: Try "pg_receivewal --help" for more information.\n')


def test_front_has_no_commands(walrx, front):
    done = walrx("receive", "-D", "x", name=front)
    assert done.returncode == 1
    assert done.stderr.startswith('pg_receivewal: error: too many command-line arguments (first is "receive")\n')
