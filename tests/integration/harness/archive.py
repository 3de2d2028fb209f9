# SPDX-License-Identifier: PostgreSQL
"""What is in an archive directory, and whether it is what the primary has."""

import hashlib
import os
import re
import stat
import subprocess
from pathlib import Path

from .postgres import BINDIR
from .util import run, wait_until

SEGMENT = re.compile(r"([0-9A-F]{24})(\.gz|\.lz4|\.zst)?")
PARTIAL = re.compile(r"([0-9A-F]{24})(\.gz|\.lz4|\.zst)?\.partial")
DECOMPRESS = {"": ["cat"], ".gz": ["gzip", "-dc"], ".lz4": ["lz4", "-dcq"], ".zst": ["zstd", "-dcq"]}
CHECK = {".gz": ["gzip", "-t"], ".lz4": ["lz4", "-tq"], ".zst": ["zstd", "-tq"]}
SUFFIX = {"none": "", "gzip": ".gz", "lz4": ".lz4", "zstd": ".zst"}


def suffix_of(compress):
    """gzip:6 -> .gz"""
    return SUFFIX[(compress or "none").split(":")[0]]


def segment_number(name, segsize):
    return int(name[8:16], 16) * (0x100000000 // segsize) + int(name[16:24], 16)


def segments(directory):
    """{name: path} of the complete segments, whatever their codec."""
    found = {}
    for path in Path(directory).iterdir():
        match = SEGMENT.fullmatch(path.name)
        if match:
            assert match[1] not in found, f"{match[1]} is there twice"
            found[match[1]] = path
    return dict(sorted(found.items()))


def partials(directory):
    return sorted(p for p in Path(directory).iterdir() if PARTIAL.fullmatch(p.name))


def histories(directory):
    return sorted(p for p in Path(directory).iterdir() if ".history" in p.name)


def content(path):
    """The raw bytes of a file of the archive, by the usual tool of its suffix."""
    suffix = SEGMENT.fullmatch(path.name)[2] or ""
    if suffix == "":
        return path.read_bytes()
    done = subprocess.run(DECOMPRESS[suffix] + [str(path)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, f"{path.name}: {done.stderr}"
    return done.stdout


def assert_readable(path):
    """The codec's own tool accepts the file."""
    suffix = SEGMENT.fullmatch(path.name)[2]
    done = subprocess.run(CHECK[suffix] + [str(path)], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, f"{path.name}: {done.stderr}"


def assert_same_bytes(name, left, right):
    if left == right:
        return
    where = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), None)
    raise AssertionError(f"{name}: {len(left)} and {len(right)} bytes, first difference at {where}")


def wait_complete(directory, name, suffix="", timeout=30):
    """The segment has its final name (and codec), and no earlier form of it is left."""
    path = Path(directory) / (name + suffix)
    wait_until(path.exists, f"{path.name} in the archive, there is {listing(directory)}", timeout)
    if suffix:
        wait_until(lambda: not (Path(directory) / name).exists(), f"{name} raw is gone", timeout)
    return path


def listing(directory):
    return sorted(p.name for p in Path(directory).iterdir())


def wait_compressed(directory, suffix, timeout=30):
    """Workers are through: each complete segment is there once, with the suffix."""
    def done():
        names = [p.name for p in Path(directory).iterdir() if SEGMENT.fullmatch(p.name)]
        return all(n.endswith(suffix) and (suffix or len(n) == 24) for n in names)
    wait_until(done, f"only {suffix or 'raw'} segments in {listing(directory)}", timeout)


def assert_equals_primary(directory, server, first=None, last=None, suffix=None):
    """Every complete segment is the primary's byte for byte, without a hole on each timeline.

    first and last: names that the archive must reach from and to; suffix: the codec of all.
    Returns the names compared.
    """
    have = segments(directory)
    assert have, f"the archive holds no complete segment: {listing(directory)}"
    for name, path in have.items():
        if suffix is not None:
            assert path.name == name + suffix, f"{path.name} should end with {suffix!r}"
        raw = content(path)
        assert len(raw) == server.segsize, f"{path.name} holds {len(raw)} bytes"
        ours = server.wal_dir / name
        assert ours.exists(), f"the primary has no {name} any more: the test keeps too little WAL"
        assert_same_bytes(name, raw, ours.read_bytes())
    numbers = sorted({segment_number(n, server.segsize) for n in have})
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), f"a hole: {list(have)}"
    if first is not None:
        assert first in have, f"{first} is missing: {list(have)}"
    if last is not None:
        assert last in have, f"{last} is missing: {list(have)}"
    return list(have)


def assert_partial(directory, server, upto):
    """One raw partial at its full size that holds the primary's bytes up to the position."""
    name = server.segment()
    path = Path(directory) / (name + ".partial")
    assert path.exists(), f"{path.name} is missing: {listing(directory)}"
    raw = path.read_bytes()
    assert len(raw) == server.segsize, f"{path.name} holds {len(raw)} bytes"
    length = upto % server.segsize
    assert_same_bytes(path.name, raw[:length], (server.wal_dir / name).read_bytes()[:length])


def assert_same_archives(left, right):
    """Two archives hold the same segments with the same bytes (names of both in the failure)."""
    a, b = segments(left), segments(right)
    assert list(a) == list(b), f"only in one: {sorted(set(a) ^ set(b))}"
    for name in a:
        assert_same_bytes(name, content(a[name]), content(b[name]))
    assert [p.name for p in histories(left)] == [p.name for p in histories(right)]
    for p, q in zip(histories(left), histories(right)):
        assert p.read_bytes() == q.read_bytes(), p.name


def assert_waldump_reads(directory, scratch, bindir=BINDIR):
    """pg_waldump gets through each segment; one that ends inside of a record says just that."""
    for name, path in segments(directory).items():
        raw = scratch / name
        raw.write_bytes(content(path))
        raw.chmod(0o644)
        done = run([bindir / "pg_waldump", "--quiet", raw], check=False)
        raw.unlink()
        # The first record may begin in an earlier file and the last one end in a later file.
        allowed = re.compile(r"could not find (file|a valid record)|could not open file|"
                             r"error in WAL record at .*: (could not|invalid record length at .*: wanted 24, got 0|"
                             r"missing contrecord|there is no contrecord flag)|^$")
        bad = [line for line in done.stderr.splitlines() if not allowed.search(line)]
        assert done.returncode == 0 or not bad, f"{name}: {done.stderr}"


def assert_histories(directory, server):
    """Each history file of the server since this archive began is here, raw and identical."""
    names = [p.name for p in histories(directory)]
    assert names, f"no history file: {listing(directory)}"
    for path in histories(directory):
        assert re.fullmatch(r"[0-9A-F]{8}\.history", path.name), path.name
        assert path.read_bytes() == (server.wal_dir / path.name).read_bytes(), path.name
    return names


def tree(directory):
    """Everything below a folder: mode, size, time of change and content, to compare later."""
    found = {}
    for folder, _, names in os.walk(directory):
        for path in [Path(folder)] + [Path(folder) / n for n in names]:
            info = path.lstat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(info.st_mode) else ""
            found[str(path.relative_to(directory))] = (
                oct(info.st_mode), info.st_size, info.st_mtime_ns, info.st_ino, digest)
    return found


def untouchable(directory, state=True):
    """tree() without what taking the lock may leave: the lock's own text, the times of folders. A
    receiver that is refused later, as one of this cluster, has told its state."""
    found = tree(directory)
    found.pop(".walrx/lock", None)
    if not state:
        found.pop(".walrx/state.json", None)
    return {name: (mode, size, 0 if digest == "" else mtime, inode, digest)
            for name, (mode, size, mtime, inode, digest) in found.items()}
