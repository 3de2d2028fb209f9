# SPDX-License-Identifier: PostgreSQL
"""Restores with the restore_command that docs/operations.md gives, taken from its text."""

import re
from pathlib import Path

from .postgres import Postgres, move_cluster
from .util import wait_until, write_file

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


def documented_script(directory, segsize):
    """The script's text, with nothing changed but the archive and the segment size."""
    blocks = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```$", DOCUMENT.read_text(), re.M | re.S)
    assert len(blocks) == 1, f"{len(blocks)} scripts in {DOCUMENT}"
    text = blocks[0]
    for pattern, line in ((r"^archive=/srv/wal$", f"archive='{directory}'"),
                          (r"^segment_size=16777216 .*$", f"segment_size={segsize}")):
        text, count = re.subn(pattern, line, text, flags=re.M)
        assert count == 1, f"{pattern} in {DOCUMENT}"
    return text


def restored(world, primary, backup, directory, **conf):
    """A server from the base backup and the archive, out of recovery; conf: recovery_... settings too."""
    script = write_file(world.base / "restore-wal", documented_script(directory, primary.segsize), 0o755)
    server = Postgres(world.base, "restored", world.templates, segsize_mb=primary.segsize >> 20,
                      bindir=primary.bindir, data_from=lambda data: move_cluster(backup, data))
    world.servers.append(server)
    recovery = {name: conf.pop(name) for name in list(conf) if name.startswith("recovery_")}
    server.configure(synchronous_standby_names="", **conf)
    server.recover(restore_command=f'{script} %f "%p"', **recovery)
    server.start()
    wait_until(lambda: server.sql("select pg_is_in_recovery()") == "f", "the end of recovery", 60)
    return server
