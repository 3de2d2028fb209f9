# SPDX-License-Identifier: PostgreSQL
"""As the only synchronous standby: how many commits pgbench makes while each waits for the flush."""
import re
from contextlib import nullcontext

from lib.process import fresh_folder, tell, wait_until
from lib.programs import PG_RECEIVEWAL, WALRX
from lib.stats import ratio, summarise, turns

NONE = "none"
SLOT = "standby"


def attach(programs, primary, work, who, folder):
    if who == NONE:
        return nullcontext({"cpu_s": 0.0})
    return programs.beside([*programs.receiver(who), "-D", folder, "-d", primary.conninfo, "-S", SLOT, "--synchronous"],
                           work / "receiver.log")


def wait_for_names(primary, names):
    """The setting reaches a session when the postmaster has told it: ask a new one."""
    primary.sql(f"alter system set synchronous_standby_names = '{names}'", "select pg_reload_conf()")
    wait_until(lambda: primary.sql("show synchronous_standby_names") == names, "the server's settings")


def one(programs, primary, work, who, clients, seconds):
    primary.sql(f"select pg_create_physical_replication_slot('{SLOT}', true)")
    try:
        with fresh_folder(work / "archive") as folder:
            with attach(programs, primary, work, who, folder) as found:
                if who != NONE:
                    wait_for_names(primary, "*")
                    wait_until(lambda: primary.sql("select sync_state from pg_stat_replication") == "sync", "the standby")
                text = primary.pgbench("-n", "-N", "-c", clients, "-j", min(clients, 2), "-T", seconds)
                wait_for_names(primary, "")
    finally:
        primary.drop_slot(SLOT)
    tps = float(re.search(r"^tps = ([0-9.]+)", text, re.MULTILINE)[1])
    return {"tps": tps, "cpu_s": found["cpu_s"], "cpu_us_per_commit": found["cpu_s"] * 1e6 / (tps * seconds),
            "latency_ms": float(re.search(r"^latency average = ([0-9.]+)", text, re.MULTILINE)[1])}


def measure(programs, primary, work, rounds, seconds, clients=(1, 16, 64)):
    """{clients: {who: figures, "ratio": ...}}"""
    cases = [(count, who) for count in clients for who in (NONE, PG_RECEIVEWAL, WALRX)]
    found = {}
    for number, (count, who) in turns(cases, rounds):
        tell(f"round {number + 1}: {count} clients, standby {who}")
        found.setdefault(count, {}).setdefault(who, []).append(one(programs, primary, work, who, count, seconds))
    table = {}
    for count in clients:
        row = {who: summarise(runs) for who, runs in sorted(found[count].items())}
        row["ratio"] = {key: ratio(row[WALRX][key], row[PG_RECEIVEWAL][key]) for key in ("tps", "cpu_us_per_commit")}
        table[str(count)] = row
    return table
