# SPDX-License-Identifier: PostgreSQL
"""Under the name pg_receivewal walrx does what pg_receivewal 15 does; both run each scenario."""

import re
import subprocess

import pytest
from harness import archive as ar
from harness.receiver import run_receiver
from harness.util import lsn, lsn_text

pytestmark = pytest.mark.receivers("front", "pg_receivewal")


def test_version_text(world, receiver):
    for option in ("--version", "-V"):
        done = run_receiver(receiver, [option], world.base)
        assert done.returncode == 0 and done.stderr == ""
        assert re.match(r"pg_receivewal \(PostgreSQL\) 15\.\d+", done.stdout)


def test_help_text(world, receiver):
    for option in ("--help", "-?"):
        done = run_receiver(receiver, [option], world.base)
        assert done.returncode == 0 and done.stderr == ""
        for name in ("--directory", "--endpos", "--if-not-exists", "--no-loop", "--no-sync", "--status-interval",
                     "--slot", "--synchronous", "--verbose", "--compress", "--dbname", "--host", "--port",
                     "--username", "--no-password", "--password", "--create-slot", "--drop-slot"):
            assert name in done.stdout, name


@pytest.mark.parametrize("args,text", [
    ([], "no target directory specified"),
    (["-D", "x", "--create-slot", "--drop-slot"], "cannot use --create-slot together with --drop-slot"),
    (["-D", "x", "--create-slot"], "--create-slot needs a slot to be specified using --slot"),
    (["-D", "x", "--drop-slot"], "--drop-slot needs a slot to be specified using --slot"),
    (["-D", "x", "--synchronous", "--no-sync"], "cannot use --synchronous together with --no-sync"),
    (["-D", "x", "-E", "nonsense"], 'could not parse end position "nonsense"'),
    (["-D", "x", "-Z", "none:1"],
     'invalid compression specification: compression algorithm "none" does not accept a compression level'),
    (["-D", "x", "-Z", "nosuch"], "nosuch"),
    (["-D", "x", "-Z", "gzip:10"], "invalid compression specification: compression algorithm \"gzip\" "
     "expects a compression level between 1 and 9"),
    (["-D", "x", "-Z", "lz4:13"], "invalid compression specification: compression algorithm \"lz4\" "
     "expects a compression level between 1 and 12"),
    (["-D", "x", "-s", "-1"], "-s/--status-interval must be in range 0..2147483"),
    (["-D", "x", "extra"], 'too many command-line arguments (first is "extra")'),
])
def test_usage_errors(world, receiver, args, text):
    done = run_receiver(receiver, args, world.base, timeout=10)
    assert done.returncode == 1
    assert done.stderr.startswith("pg_receivewal: error: "), done.stderr
    assert text in done.stderr, done.stderr


def test_hint(world, receiver):
    done = run_receiver(receiver, [], world.base, timeout=10)
    assert done.stderr.splitlines()[1] == 'pg_receivewal: hint: Try "pg_receivewal --help" for more information.'


def test_unknown_option(world, receiver):
    done = run_receiver(receiver, ["--not-a-valid-option"], world.base, timeout=10)
    assert done.returncode == 1 and "not-a-valid-option" in done.stderr


def test_options_of_walrx_are_not_known_here(world, receiver):
    """A misspelt script must fail with either program."""
    done = run_receiver(receiver, ["-D", world.base, "--no-such-thing=1"], world.base, timeout=10)
    assert done.returncode == 1


def test_verbose_lines_that_scripts_read(world, receiver):
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, "-v", slot="arch")
    run.wait_streaming(server)
    server.fill_segments(1)
    run.wait_log(r"finished segment at")
    server.insert()
    run.wait_received(server)
    assert run.stop() == 0
    log = run.log()
    for pattern in (r"^pg_receivewal: starting log streaming at [0-9A-F]+/[0-9A-F]+ \(timeline 1\)$",
                    r"^pg_receivewal: finished segment at [0-9A-F]+/[0-9A-F]+ \(timeline 1\)$",
                    r'^pg_receivewal: not renaming "[0-9A-F]{24}\.partial", segment is not complete$',
                    r"^pg_receivewal: received interrupt signal, exiting$"):
        assert re.search(pattern, log, re.M), f"{pattern}\n{log}"
    assert all(line.startswith("pg_receivewal: ") for line in log.splitlines()), log


@pytest.mark.parametrize("spec,suffix", [("gzip:1", ".gz"), ("lz4", ".lz4")])
def test_compressed_partial_after_a_clean_stop(world, receiver, spec, suffix):
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch", compress=spec)
    run.wait_streaming(server)
    last = server.switch()
    server.insert(rows=50)
    run.wait_received(server)
    assert run.stop() == 0
    assert (directory / (last + suffix)).exists(), ar.listing(directory)
    left = [p.name for p in ar.partials(directory)]
    assert left == [server.segment() + suffix + ".partial"], left
    # and the next run goes on from it, compressed or not
    run = world.receive(receiver, directory, server, slot="arch")
    run.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last, "")
    assert run.stop() == 0


def unpacked(directory, name, suffix):
    """What the compressed partial holds, it being all that is left of the open segment."""
    left = [p.name for p in ar.partials(directory)]
    assert left == [name + suffix + ".partial"], left
    path = directory / left[0]
    done = subprocess.run(ar.DECOMPRESS[suffix], stdin=open(path, "rb"), stdout=subprocess.PIPE, check=True)
    return done.stdout


def assert_holds(server, name, raw, upto):
    """Every byte that a receiver acknowledged."""
    length = upto % server.segsize
    assert len(raw) >= length, f"{length - len(raw)} of {length} acknowledged bytes are gone"
    ar.assert_same_bytes(name, raw[:length], (server.wal_dir / name).read_bytes()[:length])


def open_segment(server):
    """A segment with a little WAL; its name, and a position in it with plenty of room behind."""
    server.switch()
    server.insert()
    return server.segment(), server.sql("select pg_current_wal_flush_lsn()")


@pytest.mark.receivers("front")
@pytest.mark.parametrize("spec,suffix", [("gzip:1", ".gz"), ("lz4", ".lz4")])
def test_compressed_partial_keeps_what_a_killed_run_received(world, receiver, spec, suffix):
    """The run that packs the open segment received only the beginning of it again."""
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch", compress=spec)
    run.wait_streaming(server)
    name, early = open_segment(server)
    server.insert(rows=600, width=1024)
    upto = lsn(run.wait_received(server, column="flush_lsn"))
    assert server.segment(lsn_text(upto)) == name
    run.kill9()
    run = world.receive(receiver, directory, server, "-E", early, slot="arch", compress=spec)
    assert run.wait() == 0
    assert_holds(server, name, unpacked(directory, name, suffix), upto)


@pytest.mark.receivers("front")
@pytest.mark.parametrize("spec,suffix", [("gzip:1", ".gz"), ("lz4", ".lz4")])
def test_compressed_partial_written_after_the_raw_one_counts(world, receiver, programs, spec, suffix):
    """walrx leaves a raw partial, PostgreSQL's pg_receivewal a longer compressed one, walrx goes on."""
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch")
    run.wait_streaming(server)
    name, early = open_segment(server)
    run.wait_received(server)
    assert run.stop() == 0
    assert [p.name for p in ar.partials(directory)] == [name + ".partial"]
    run = world.receive(programs("pg_receivewal"), directory, server, slot="arch", compress=spec)
    run.wait_streaming(server)
    server.insert(rows=600, width=1024)
    upto = lsn(run.wait_received(server))
    assert server.segment(lsn_text(upto)) == name
    assert run.stop() == 0
    assert [p.name for p in ar.partials(directory)] == sorted([name + ".partial", name + suffix + ".partial"])
    run = world.receive(receiver, directory, server, "-E", early, slot="arch", compress=spec)
    assert run.wait() == 0
    assert_holds(server, name, unpacked(directory, name, suffix), upto)


@pytest.mark.receivers("front")
def test_damaged_compressed_partial_is_kept_aside_and_told(world, receiver):
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch", compress="gzip:1")
    run.wait_streaming(server)
    name, _ = open_segment(server)
    server.insert(rows=300, width=1024)
    run.wait_received(server)
    assert run.stop() == 0
    path = directory / (name + ".gz.partial")
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2:len(packed) // 2 + 64] = bytes(64)
    path.write_bytes(packed)
    run = world.receive(receiver, directory, server, slot="arch")
    run.wait_streaming(server)
    assert re.search(r'pg_receivewal: warning: compressed partial "' + re.escape(path.name) +
                     r'" is damaged: its first \d+ bytes could be read', run.log()), run.log()
    assert (directory / ".walrx" / "quarantine" / path.name).read_bytes() == packed
    upto = run.wait_received(server)
    assert run.stop() == 0
    ar.assert_partial(directory, server, lsn(upto))


def test_first_connection_failure_ends_it(world, receiver):
    """Scripts rely on it: without a server at the start pg_receivewal does not loop."""
    done = run_receiver(receiver, ["-D", world.archive(), "-h", "127.0.0.1", "-p", "1"], world.base, timeout=20)
    assert done.returncode == 1
    assert done.stderr.startswith("pg_receivewal: error: "), done.stderr


def test_disconnect_message(world, receiver):
    server = world.server()
    run = world.receive(receiver, world.archive(), server)
    run.wait_streaming(server)
    server.stop("fast")
    run.wait_log(r"pg_receivewal: disconnected; waiting 5 seconds to try again", timeout=20)
    server.start()
    run.wait_streaming(server)
    assert run.stop() == 0


def test_missing_directory(world, receiver):
    server = world.server()
    done = run_receiver(receiver, ["-D", world.base / "nosuch", "-n", "-d", server.conninfo()], world.base, timeout=20)
    assert done.returncode == 1
    assert 'could not open directory "' in done.stderr, done.stderr
