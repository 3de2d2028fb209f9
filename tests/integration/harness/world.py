# SPDX-License-Identifier: PostgreSQL
"""The servers, receivers and disks of one test; everything ends with close()."""

import os
import shutil

from .disk import CutDisk
from .postgres import Postgres
from .receiver import Receiver
from .util import free_port, make_dir


class World:
    """The servers and receivers of one test."""

    def __init__(self, base, templates):
        self.base = base
        self.templates = templates
        self.servers = []
        self.receivers = []
        self.archives = 0
        self.disks = []

    def server(self, name=None, start=True, **options):
        name = name or f"pg{len(self.servers)}"
        server = Postgres(self.base, name, self.templates, **options)
        self.servers.append(server)
        if start:
            server.start()
            server.create_table()
        return server

    def standby(self, primary, name=None, **conf):
        """A streaming standby of primary, started."""
        def backup(target):
            primary.base_backup(target)
        name = name or f"pg{len(self.servers)}"
        server = Postgres(self.base, name, self.templates, segsize_mb=primary.segsize >> 20,
                          bindir=primary.bindir, tools=primary.tools, conf=conf, data_from=backup)
        server.follow(primary)
        self.servers.append(server)
        return server.start()

    def archive(self, name=None):
        self.archives += 1
        return make_dir(self.base / (name or f"archive{self.archives}"), 0o700)

    def disk(self, kind):
        """A filesystem of its own whose power can be cut (harness/disk.py)."""
        it = CutDisk(kind, self.base)
        self.disks.append(it)
        return it

    def receive(self, program, archive, server_or_conninfo, *args, start=True, **options):
        """Start a receiver. A server stands for the connection string of its superuser."""
        conninfo = server_or_conninfo
        if isinstance(conninfo, Postgres):
            conninfo = conninfo.conninfo()
        log = self.base / f"receiver{len(self.receivers)}.log"
        it = Receiver(program, archive, conninfo, log, self.base, args=args,
                      segsize=self.servers[0].segsize if self.servers else None, **options)
        self.receivers.append(it)
        return it.start() if start else it

    def free_port(self):
        return free_port()

    def logs(self):
        out = [(f"{r.program} {' '.join(str(a) for a in r.argv[1:])}", r.log()[-6000:])
               for r in self.receivers]
        return out + [(f"server {s.name}", s.log_tail()) for s in self.servers]

    def close(self):
        for it in self.receivers:
            it.cleanup()
        for server in self.servers:
            server.cleanup()
        keep = os.environ.get("WALRX_TEST_KEEP") is not None
        for disk in self.disks:
            disk.close(keep)
        if not keep:
            for path in [self.base] + [server.base for server in self.servers]:
                shutil.rmtree(path, ignore_errors=True)
