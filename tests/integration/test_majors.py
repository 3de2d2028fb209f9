# SPDX-License-Identifier: PostgreSQL
"""Servers of other major versions: slot, start, streaming, identity."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness import archive as ar
from harness.packages import Unavailable
from harness.util import clean_env, lsn, run

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "pg-majors.sh"


def programs_of(major):
    """The folder with the server programs of a major version."""
    env = dict(os.environ)
    env.setdefault("PG_MAJORS_DIR", str(Path(tempfile.gettempdir()) / "pg-majors"))
    if not shutil.which("apt-get"):
        raise Unavailable("no apt-get")
    done = subprocess.run([str(SCRIPT), "setup", str(major)], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500, check=False)
    if done.returncode != 0:
        raise Unavailable(f"major {major} cannot be set up: {done.stdout.strip()[-300:]}")
    out = subprocess.run([str(SCRIPT), "bindir", str(major)], env=env, stdout=subprocess.PIPE, text=True, check=True)
    return Path(out.stdout.strip())


@pytest.fixture(params=[13, 15, 18])
def major(request, fetched):
    if request.param == 15:
        return request.param, None
    return request.param, fetched(programs_of, request.param)


def server_of(world, major):
    number, bindir = major
    server = world.server(**({"bindir": bindir} if bindir else {}))
    assert server.number("show server_version_num") // 10000 == number
    return server


@pytest.mark.network
@pytest.mark.slow
def test_streams_from_a_slot(world, walrx, major):
    server = server_of(world, major)
    made = run([walrx.command[0], "slot", "create", "-S", "arch", "-d", server.conninfo()],
               env=clean_env(world.base), check=False)
    assert made.returncode == 0, made.stderr
    restart = server.slot("arch")
    assert restart != ""
    first = server.segment(restart)
    server.fill_segments(2)
    directory = world.archive()
    it = world.receive(walrx, directory, server, "--synchronous", slot="arch", compress="zstd:1")
    it.wait_streaming(server)
    server.fill_segments(2)
    last = server.switch()
    server.insert(rows=10)
    it.wait_received(server, column="flush_lsn")
    ar.wait_complete(directory, last, ".zst")
    ar.wait_compressed(directory, ".zst")
    upto = server.flush_lsn()
    assert it.stop() == 0
    # an empty directory began where the slot stood, also where READ_REPLICATION_SLOT is unknown (13)
    ar.assert_equals_primary(directory, server, first=first, last=last, suffix=".zst")
    ar.assert_partial(directory, server, upto)
    ar.assert_waldump_reads(directory, world.base, server.bindir)
    assert lsn(server.slot("arch")) >= upto - server.segsize


@pytest.mark.network
@pytest.mark.slow
def test_survives_a_crash_and_a_promotion(world, receiver, major):
    if major[0] > 15 and not receiver.ours:
        pytest.skip("pg_receivewal refuses servers that are newer than itself")
    a = server_of(world, major)
    b = world.standby(a)
    directory = world.archive()
    it = world.receive(receiver, directory, f"host=127.0.0.1,127.0.0.1 port={a.port},{b.port} user=postgres "
                       "target_session_attrs=read-write")
    it.wait_streaming(a)
    a.insert(rows=50)
    it.kill9()
    it.start()
    it.wait_streaming(a)
    a.fill_segments(1)
    assert a.stop("fast") < 10
    b.promote()
    it.wait_streaming(b)
    b.fill_segments(1)
    last = b.switch()
    b.insert()
    it.wait_received(b)
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    for name, path in ar.segments(directory).items():
        ar.assert_same_bytes(name, path.read_bytes(), (b.wal_dir / name).read_bytes())
    assert ar.assert_histories(directory, b) == ["00000002.history"]


@pytest.mark.network
def test_slot_options(world, walrx, major):
    server = server_of(world, major)
    env = clean_env(world.base)

    def call(*args):
        return run([walrx.command[0], *args, "-S", "s1", "-d", server.conninfo()], env=env, check=False)
    assert call("receive", "--create-slot").returncode == 0
    assert server.slot("s1") != ""
    assert call("receive", "--create-slot").returncode == 1
    assert call("receive", "--create-slot", "--if-not-exists").returncode == 0
    shown = call("slot", "show")
    assert shown.returncode == 0 and "s1" in shown.stdout and server.slot("s1") in shown.stdout, shown
    assert call("slot", "drop").returncode == 0
    missing = run([*walrx.command, "-D", world.archive(), "-n", "-S", "nosuch", "-d", server.conninfo()], env=env,
                  check=False)
    assert missing.returncode == 1 and "nosuch" in missing.stderr
