# SPDX-License-Identifier: PostgreSQL
"""Each option of receive: what is refused before any connection, by its name, and what is taken."""

import os
import re
import subprocess

import pytest


@pytest.fixture
def call(program, tmp_path):
    """Run walrx in an empty folder; the default server is a port where nothing listens."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    env.update(HOME=str(tmp_path), LC_ALL="C", PGHOST="127.0.0.1", PGPORT="1", PGCONNECT_TIMEOUT="3")

    def run(*args, name=None):
        return subprocess.run([str(name or program), *args], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=10, check=False)
    return run


def refused(done, *words):
    """Exit 1, nothing on stdout, the error with one of the words, a hint, no connection tried."""
    assert done.returncode == 1, done
    assert done.stdout == "", done
    assert re.search(r"\berror\b", done.stderr), done
    assert any(w in done.stderr for w in words), done.stderr
    assert "hint" in done.stderr and "--help" in done.stderr, done.stderr
    assert "refused" not in done.stderr, f"went as far as connecting: {done.stderr}"


def connects(done):
    assert done.returncode == 1 and "refused" in done.stderr, done


def test_slot_action(call):
    refused(call("slot", "destroy", "-S", "a"), "destroy")
    refused(call("slot", "create"), "slot")
    refused(call("slot", "drop"), "slot")


def test_directory_missing(call):
    refused(call("receive"), "directory")


def test_create_and_drop_together(call):
    refused(call("receive", "-D", ".", "-S", "a", "--create-slot", "--drop-slot"), "--create-slot")


@pytest.mark.parametrize("option", ["--create-slot", "--drop-slot"])
def test_slot_action_without_a_slot(call, option):
    refused(call("receive", "-D", ".", option), "--slot")


def test_synchronous_without_sync(call):
    refused(call("receive", "-D", ".", "--synchronous", "--no-sync"), "--no-sync")


def test_too_many_arguments(call):
    refused(call("receive", "-D", ".", "extra"), "extra")


@pytest.mark.parametrize("option", ["-D", "--directory", "-S", "-E", "-Z", "--flush-interval", "--config"])
def test_option_without_its_argument(call, option):
    refused(call("receive", option), option.lstrip("-"))


@pytest.mark.parametrize("option,words,values", [
    ("--endpos", ("endpos", "end position"),
     ["", "0", "0/", "/0", "G/0", "0/100000000", "100000000/0", "0/1x", " 0/1", "-1/0"]),
    ("--status-interval", ("status-interval",), ["-1", "x", "1x", "2147484", "99999999999999999999"]),
    ("--compress", ("compress",),
     ["gzip:0", "gzip:10", "gzip:x", "lz4:13", "zstd:20", "none:1", "bzip2", "gzip:", "10", "gzip:level=",
      "gzip:level=11", "gzip:speed=1", "zstd:level=3,level"]),
    ("--flush-interval", ("flush-interval",), ["", "x", "-1s", "1fortnight", "99999999999999999999s"]),
    ("--receive-timeout", ("receive-timeout",), ["", "x", "-1s", "10 parsecs"]),
    ("--on-gap", ("on-gap",), ["", "maybe", "STOPPED"]),
    ("--verify", ("verify",), ["", "yes", "STOP"]),
    ("--memory", ("memory",), ["", "x", "-1MB", "0", "1B", "64XB", "99999999999999999999GB"]),
    ("--log-format", ("log-format",), ["", "xml", "jsonl"]),
])
def test_bad_values(call, option, words, values):
    for value in values:
        try:
            refused(call("receive", "-D", ".", "-n", f"{option}={value}"), *words)
        except AssertionError as error:
            raise AssertionError(f"{option}={value!r}: {error}") from None


@pytest.mark.parametrize("option,values", [
    ("--endpos", ["0/0", "16/B374D848", "ffffffff/ffffffff"]),
    ("--status-interval", ["0", "10", "2147483"]),
    ("--compress", ["none", "0", "1", "9", "gzip", "gzip:9", "gzip:level=1", "lz4", "lz4:12", "zstd", "zstd:19"]),
    ("--flush-interval", ["1s", "500ms", "2min", "1h"]),
    ("--receive-timeout", ["60s", "2min"]),
    ("--on-gap", ["stop", "continue"]),
    ("--verify", ["off", "on", "stop"]),
    ("--memory", ["64MB", "1GB", "65536kB"]),
    ("--log-format", ["text", "json"]),
])
def test_good_values_get_as_far_as_connecting(call, option, values):
    for value in values:
        connects(call("receive", "-D", ".", "-n", f"{option}={value}"))


@pytest.mark.parametrize("args", [
    ["-D", ".", "-n", "-v", "-s", "5", "-Z", "lz4", "-E", "0/1", "-w", "-S", "a", "-h", "127.0.0.1", "-p", "1",
     "-U", "u", "-d", "dbname=x"],
    ["--directory=.", "--no-loop", "--verbose", "--status-interval=5", "--compress=gzip:3", "--endpos=0/1",
     "--no-password", "--slot=a", "--host=127.0.0.1", "--port=1", "--username=u", "--synchronous",
     "--if-not-exists"],
    ["-D.", "-nvv", "-s5", "-Zlz4", "-Sa"],
    ["--direct=.", "--no-l", "--stat=5"],
])
def test_every_option_of_pg_receivewal_is_taken(call, args):
    connects(call("receive", *args))


def test_other_name(call, program, tmp_path):
    link = tmp_path / "pg_receivewal"
    link.symlink_to(program)
    done = call("--version", name=link)
    assert done.returncode == 0 and re.match(r"pg_receivewal \(PostgreSQL\) 15\.", done.stdout)
    done = call(name=link)
    assert done.returncode == 1
    assert done.stderr.startswith("pg_receivewal: error: no target directory specified\n"), done.stderr
    connects(call("-D", ".", "-nv", "-s5", "-Z", "gzip:1", "-S", "a", name=link))
