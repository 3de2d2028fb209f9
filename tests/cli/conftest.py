# SPDX-License-Identifier: PostgreSQL
"""Tests of the program's outside that need no server. WALRX_BIN is the program."""

import os
import re
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
# Those with options.
COMMANDS = ("receive", "slot", "status", "check", "wait", "list", "verify", "restore", "find", "stage", "stats", "bench")


@pytest.fixture(scope="session")
def program():
    path = Path(os.environ.get("WALRX_BIN", TREE / "build" / "release" / "src" / "cli" / "walrx"))
    assert path.is_file(), f"no walrx at {path}: build it, or set WALRX_BIN to the program"
    return path.resolve()


@pytest.fixture(scope="session")
def walrx(program):
    def call(*args, name=None, **how):
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        return subprocess.run([name or program, *args], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=20, check=False, **how)
    return call


def long_options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


@pytest.fixture(scope="session")
def options(walrx):
    """command -> {long option: (short option or None, does it take a value)} from its --help"""
    def read(command):
        found = {}
        for line in walrx(command, "--help").stdout.splitlines():
            match = re.match(r"  (?:(-.), |    )(--[a-z-]+)(=\S+|\[=\S+\])?(?:  |$)", line)
            if match:
                found[match[2]] = (match[1], match[3] is not None)
        assert "--help" in found and "--version" in found
        return found
    return {command: read(command) for command in COMMANDS}
