# SPDX-License-Identifier: PostgreSQL
"""Clients that commit all the time and remember which commits they saw acknowledged."""

import random
import threading
import time

import psycopg2


class Clients:
    """Each client commits numbered batches; `acknowledged` has the numbers it was told are safe.

    Errors are expected (tests kill the server): a client connects again, to the server that `server`
    names then. What was not answered is not counted, whatever became of it.
    """

    def __init__(self, server, count=4, bytes_per_second=6e6, seed=0):
        self.server = server
        self.acknowledged = [[] for _ in range(count)]
        self.bytes_per_second = bytes_per_second
        self._gate = threading.Event()
        self._gate.set()
        self._stop = threading.Event()
        self._idle = [threading.Event() for _ in range(count)]
        self._threads = [threading.Thread(target=self._work, args=(n, random.Random(f"{seed} {n}")), daemon=True)
                         for n in range(count)]
        server.sql("create table if not exists acked(client int, n bigint, filler text)")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._gate.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client does not end"

    def commits(self):
        return sum(len(mine) for mine in self.acknowledged)

    def pause(self):
        """No commit is on its way when this returns."""
        self._gate.clear()
        for idle in self._idle:
            assert idle.wait(120), "a commit does not end"

    def resume(self):
        self._gate.set()

    def missing(self, server):
        """Acknowledged commits that server has not."""
        there = {tuple(map(int, line.split("|"))) for line in
                 server.sql("select distinct client, n from acked").splitlines()}
        return sorted({(c, n) for c, mine in enumerate(self.acknowledged) for n in mine} - there)

    def _work(self, client, chance):
        connection, n = None, 0
        while not self._stop.is_set():
            if not self._gate.is_set():
                self._idle[client].set()
                self._gate.wait()
                self._idle[client].clear()
                continue
            began = time.monotonic()
            n += 1
            rows = chance.choice((1, 2, 5, 30, 200))
            try:
                if connection is None:
                    connection = psycopg2.connect(self.server.conninfo(
                        dbname="postgres", application_name="client", connect_timeout=5))
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    self._commit(cursor, client, n, rows, chance)
            except psycopg2.Error:
                if connection is not None:
                    connection.close()
                    connection = None
                self._stop.wait(0.1)
                continue
            share = self.bytes_per_second / len(self._threads)
            self._stop.wait(max(0.0, rows * 700 / share - (time.monotonic() - began)))
        self._idle[client].set()

    def _commit(self, cursor, client, n, rows, chance):
        cursor.execute("insert into acked select %s, %s, repeat(md5(random()::text), 18) "
                       "from generate_series(1, %s)", (client, n, rows))
        self.acknowledged[client].append(n)
        if chance.random() < 0.02:
            cursor.execute(chance.choice(("select pg_switch_wal()", "checkpoint")))
