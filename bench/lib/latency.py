# SPDX-License-Identifier: PostgreSQL
"""One commit: from sending a small message to the report of its flush, at a trickle."""
from lib.process import tell
from lib.programs import PG_RECEIVEWAL, WALRX
from lib.stats import ratio, summarise, turns
from lib.synthetic import receive

MESSAGE, PER_SECOND = 8192, 500


def measure(programs, work, rounds, seconds):
    rate = MESSAGE * PER_SECOND
    found = {}
    for number, who in turns((PG_RECEIVEWAL, WALRX), rounds):
        tell(f"round {number + 1}: latency, {who}")
        found.setdefault(who, []).append(
            receive(programs, who, work, rate * seconds, "--synchronous", message_size=MESSAGE, rate=rate))
    table = {who: summarise(runs) for who, runs in sorted(found.items())}
    table["ratio"] = {key: ratio(table[WALRX][key], table[PG_RECEIVEWAL][key])
                      for key in ("flush_p50_us", "flush_p99_us", "cpu_s")}
    return {"message_bytes": MESSAGE, "messages_per_s": PER_SECOND, "seconds": seconds, **table}
