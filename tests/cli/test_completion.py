# SPDX-License-Identifier: PostgreSQL
"""The completion, called in bash as readline would: words split at '=', the last one is completed."""

import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")

SIMULATION = r"""
set -u
source "$1"
shift
[[ $(complete -p walrx) == *"-F _walrx walrx" ]] || exit 2
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_walrx walrx "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="session")
def script(walrx, tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "walrx"
    path.write_text(walrx("completion", "bash").stdout)
    return path


@pytest.fixture
def complete(script, tmp_path):
    (tmp_path / "folder one").mkdir()
    (tmp_path / "file.conf").touch()

    def call(*words):
        done = subprocess.run(["bash", "-c", SIMULATION, "bash", script, "walrx", *words], cwd=tmp_path,
                              env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stderr == "", done
        return done.stdout.splitlines()
    return call


@pytest.mark.parametrize("words,expected", [
    (["rec"], ["receive"]),
    (["--v"], ["--version"]),
    (["receive", "--flush"], ["--flush-interval"]),
    (["receive", "--compress"], ["--compress", "--compress-workers"]),
    (["slot", "--flush"], []),
    (["slot", "cr"], ["create"]),
    (["slot", "create", "--if"], ["--if-not-exists"]),
    (["completion", ""], ["bash"]),
    (["help", "sl"], ["slot"]),
    (["receive", "--on-gap", ""], ["stop", "continue"]),
    (["receive", "--on-gap", "="], ["stop", "continue"]),
    (["receive", "--on-gap", "=", "c"], ["continue"]),
    (["receive", "--verify", "="], ["off", "on", "stop"]),
    (["receive", "--verify", "=", "o"], ["off", "on"]),
    (["receive", "--log-format", "=", "j"], ["json"]),
    (["receive", "-Z", "z"], ["zstd"]),
    (["receive", "-S", ""], []),
    (["receive", "--slot", "=", "--on"], []),
    (["receive", "-D", "f"], ["folder one"]),
    (["receive", "--directory", "=", "f"], ["folder one"]),
    (["receive", "--config", "=", "file"], ["file.conf"]),
    (["receive", "--config", "file"], ["file.conf"]),
    (["receive", "-v", "--on"], ["--on-gap"]),
    (["receive", "-w", "--on"], ["--on-gap"]),
    (["check", "--"], ["--directory", "--warning", "--critical", "--version", "--help"]),
    (["check", "--warning", ""], []),
    (["li"], ["list"]),
    (["list", "--"], ["--directory", "--json", "--version", "--help"]),
    (["list", "-D", "f"], ["folder one"]),
    (["be"], ["bench"]),
    (["ba"], ["backup"]),
    (["backup", "re"], ["register", "remove"]),
    (["backup", "list", "--j"], ["--json"]),
    (["pr"], ["prune"]),
    (["prune", "--keep"], ["--keep-from", "--keep-time", "--keep-size"]),
    (["prune", "--keep-from", ""], []),
    (["bench", "--d"], ["--directory", "--duration", "--dbname"]),
    (["bench", "--sink", "="], ["null", "disk"]),
    (["bench", "--slot"], []),
    (["statu"], ["status"]),
    (["sta"], ["status", "stage", "stats"]),
    (["status", "--w"], ["--watch"]),
    (["wait", "--"], ["--directory", "--lsn", "--timeout", "--version", "--help"]),
    (["res"], ["restore"]),
    (["restore", "--"], ["--directory", "--partial", "--on-gap", "--sync", "--prefetch", "--version",
                         "--help"]),
    (["restore", "--partial", "="], ["auto", "never", "always"]),
    (["find", "--"], ["--directory", "--time", "--restore-point", "--lsn", "--xid", "--latest", "--exclusive", "--timeline",
                      "--from", "--before", "--after", "--json", "--version", "--help"]),
    (["find", "--before", "="], []),
    (["stats", "--"], ["--directory", "--timeline", "--json", "--version", "--help"]),
    (["stage", "--target-t"], ["--target-time", "--target-timeline"]),
    (["stage", "--action", "="], ["pause", "promote", "shutdown"]),
    (["stage", "--into", "=", "f"], ["folder one"]),
    (["stage", "-T", ""], []),
    (["ver"], ["verify"]),
    (["verify", "--"], ["--directory", "--jobs", "--json", "--version", "--help"]),
])
def test_completes(complete, words, expected):
    assert complete(*words) == expected


def test_all_commands_are_offered(complete):
    assert complete("") == ["--help", "--version", "receive", "slot", "status", "check", "wait", "list", "verify",
                            "restore", "find", "stage", "stats", "backup", "prune", "bench", "completion", "help"]


def test_script_is_clean(script):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "--shell=bash", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
