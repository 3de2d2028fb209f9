# SPDX-License-Identifier: PostgreSQL
"""Processes, time-outs and ports for the integration tests.

Under root everything that touches a server (the server, psql, the receiver) runs as the
user who owns the clusters, as initdb refuses root; as a normal user everything runs as that user.
"""

import fcntl
import os
import pwd
import random
import socket
import subprocess
import tempfile
import time
from pathlib import Path

SERVER_USER = os.environ.get("WALRX_TEST_USER", "postgres")
_port_locks = []


def server_uid_gid():
    """The ids everything runs under, or None when this is not root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(SERVER_USER)
    return entry.pw_uid, entry.pw_gid


def as_server(argv):
    """The command line that runs argv as the server's user (exec, so the pid stays)."""
    ids = server_uid_gid()
    if ids is None:
        return [str(a) for a in argv]
    drop = ["setpriv", f"--reuid={ids[0]}", f"--regid={ids[1]}", "--clear-groups", "--"]
    return drop + [str(a) for a in argv]


def give_to_server(path):
    ids = server_uid_gid()
    if ids is not None:
        os.chown(path, *ids)
    return Path(path)


def make_dir(path, mode=0o700):
    path = Path(path)
    path.mkdir(mode=mode)
    path.chmod(mode)
    return give_to_server(path)


def write_file(path, text, mode=0o600):
    path = Path(path)
    path.write_text(text)
    path.chmod(mode)
    return give_to_server(path)


def clean_env(home, **extra):
    """The environment of each program: nothing of the caller's PG* settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    env.update(HOME=str(home), LC_ALL="C", TZ="UTC", PGAPPNAME="recv", PGCONNECT_TIMEOUT="10")
    env.update({k: str(v) for k, v in extra.items()})
    return env


def run(argv, env=None, check=True, timeout=120, input=None, cwd="/"):
    """Run to the end as the server's user; the text of both streams is in what comes back.

    The program has no terminal: what asks for a password reads it from input.
    """
    done = subprocess.run(as_server(argv), env=env, cwd=cwd, timeout=timeout, input=input,
                          stdin=subprocess.DEVNULL if input is None else None,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(str(a) for a in argv)}: exit {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done


def wait_until(condition, what, timeout=30.0, interval=0.05):
    """Poll condition() until it is true and return its value; what names it in the failure."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(interval)


def stays_true(condition, what, seconds, interval=0.1):
    """The opposite of waiting: condition() must hold during all of the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"not for {seconds} s: {what}"
        time.sleep(interval)


def terminal_text(main):
    """All that was written to a terminal whose other end is closed; one read gives some of it."""
    shown = b""
    try:
        while chunk := os.read(main, 65536):
            shown += chunk
    except OSError:  # that is how it ends
        pass
    os.close(main)
    return shown.decode()


def free_port():
    """A port below the ephemeral range, locked against other test processes of this machine."""
    for _ in range(500):
        port = random.randint(20000, 32000)
        lock = open(Path(tempfile.gettempdir()) / f".walrx-port-{port}.lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _port_locks.append(lock)
        return port
    raise AssertionError("no free port")


def release_ports():
    for lock in _port_locks:
        os.unlink(lock.name)
        lock.close()
    _port_locks.clear()


def lsn(text):
    """16/B374D848 as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def lsn_text(value):
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"
