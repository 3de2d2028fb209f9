# SPDX-License-Identifier: PostgreSQL
"""The restore_command of docs/operations.md serves each form of a file, and never ends recovery early."""

import gzip
import os
import subprocess

import pytest
from harness import archive as ar
from harness.restore import documented_script, restored

SIZE = 1 << 20
NAME = "000000010000000000000003"
PACK = {".zst": ["zstd", "-q"], ".lz4": ["lz4", "-q"], ".gz": ["gzip"]}


def put(path, data):
    """The data in the form that the file's name tells."""
    packer = PACK.get(path.with_suffix("").suffix if path.suffix == ".partial" else path.suffix)
    if packer:
        data = subprocess.run([*packer, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    path.write_bytes(data)


class Script:
    def __init__(self, base):
        self.archive = base / "archive"
        self.tools = base / "tools"
        self.target = base / "RECOVERYXLOG"
        self.path = base / "restore-wal"
        self.archive.mkdir()
        self.tools.mkdir()
        self.path.write_text(documented_script(self.archive, SIZE))
        self.path.chmod(0o755)

    def tool(self, name, text):
        """A program that comes before the real one."""
        (self.tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.tools / name).chmod(0o755)

    def run(self, name=NAME):
        env = {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}"}
        return subprocess.run([self.path, name, self.target.name], cwd=self.target.parent, env=env, timeout=30,
                              stderr=subprocess.DEVNULL).returncode

    def serves(self, data):
        self.target.unlink(missing_ok=True)
        return self.run() == 0 and self.target.read_bytes() == data


@pytest.fixture
def script(tmp_path):
    return Script(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".zst", ".lz4", ".gz", ".partial"])
def test_each_form_is_served_as_it_is(script, suffix):
    data = os.urandom(SIZE)
    put(script.archive / (NAME + suffix), data)
    assert script.serves(data)


@pytest.mark.parametrize("suffix", [".zst.partial", ".lz4.partial", ".gz.partial"])
def test_compressed_partials_are_filled_with_zeros(script, suffix):
    data = os.urandom(SIZE // 3)
    put(script.archive / (NAME + suffix), data)
    assert script.serves(data.ljust(SIZE, b"\0"))


def test_partials_are_the_last_resort(script):
    """Each form wins over those behind it."""
    forms = ["", ".zst", ".lz4", ".gz", ".partial", ".zst.partial", ".lz4.partial", ".gz.partial"]
    contents = {form: os.urandom(SIZE) for form in forms}
    for form in forms:
        put(script.archive / (NAME + form), contents[form])
    for form in forms:
        assert script.serves(contents[form]), form
        (script.archive / (NAME + form)).unlink()
    assert script.run() == 1


def test_what_is_not_there_is_status_1(script):
    assert script.run() == 1
    assert script.run("00000002.history") == 1
    assert not script.target.exists()


@pytest.mark.parametrize("before,after", [("", ".gz"), (".partial", ""), (".lz4.partial", ".partial")])
def test_a_file_that_changes_its_form_meanwhile_is_found(script, before, after):
    """The receiver goes on while the script is between its test and its reading."""
    data = os.urandom(SIZE)
    old, new, packed = (script.archive / (NAME + before), script.archive / (NAME + after), script.archive / "next")
    put(old, data)
    packed.write_bytes(gzip.compress(data) if after == ".gz" else data)
    program = "lz4" if ".lz4" in before else "cat"
    script.tool(program, f"[ ! -e '{packed}' ] || {{ mv '{packed}' '{new}'; rm '{old}'; exit 1; }}\n"
                f'exec /usr/bin/{program} "$@"')
    assert script.serves(data)
    assert not old.exists() and not packed.exists()


@pytest.mark.parametrize("suffix", [".zst", ".gz", ".lz4.partial"])
def test_a_damaged_file_is_trouble(script, suffix):
    put(script.archive / (NAME + suffix), os.urandom(SIZE))
    path = script.archive / (NAME + suffix)
    path.write_bytes(path.read_bytes()[:-SIZE // 2])
    assert script.run() > 125
    assert not script.target.exists()


def test_a_program_or_an_archive_that_is_missing_is_trouble(script):
    put(script.archive / (NAME + ".zst"), os.urandom(SIZE))
    script.tool("zstd", "exit 127")
    assert script.run() > 125
    script.archive.rename(script.archive.with_name("unmounted"))
    assert script.run() > 125
    assert not script.target.exists()


@pytest.mark.slow
@pytest.mark.parametrize("spec,suffix", [("lz4", ".lz4"), ("gzip:1", ".gz")])
@pytest.mark.receivers("front", "pg_receivewal")
def test_restore_from_what_a_clean_stop_of_pg_receivewal_leaves(world, receiver, spec, suffix):
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch", compress=spec)
    run.wait_streaming(server)
    backup = world.base / "backup"
    server.base_backup(backup, wal="none")
    server.fill_segments(2)
    server.insert(rows=20)
    want = server.number("select count(*) from load")
    run.wait_received(server)
    assert run.stop() == 0
    left = [p.name for p in ar.partials(directory)]
    assert left == [server.segment() + suffix + ".partial"], left
    server.stop("immediate")
    new = restored(world, server, backup, directory)
    assert new.number("select count(*) from load") == want
    assert new.timeline() == 2
