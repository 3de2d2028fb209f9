# SPDX-License-Identifier: PostgreSQL
"""Structured logs, secrets, file modes."""

import json
import stat

import pytest
from harness import archive as ar
from harness.receiver import run_receiver
from harness.util import free_port


def test_json_lines(world, walrx):
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(walrx, directory, server, "-v", "--log-format=json", slot="arch", compress="lz4")
    run.wait_streaming(server)
    server.fill_segments(1)
    server.stop("fast")
    server.start()
    run.wait_streaming(server)
    assert run.stop() == 0
    lines = run.json_lines()
    assert lines
    for line in lines:
        assert isinstance(line, dict) and line["level"] and line["msg"], line
    assert {"info"} <= {line["level"].lower() for line in lines}


def test_json_of_errors(world, walrx):
    """What ends the program is structured too, quotes and control characters of the cause included."""
    server = world.server()
    done = run_receiver(walrx, ["-D", world.archive(), "-n", "--log-format=json", "-S", "nosuch",
                                "-d", server.conninfo()], world.base, timeout=20)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert any(line["level"].lower() == "error" and "nosuch" in json.dumps(line) for line in lines), lines


def test_text_lines_say_error(world, walrx):
    done = run_receiver(walrx, ["-D", world.archive(), "-n", "-h", "127.0.0.1", "-p", free_port()],
                        world.base, timeout=20)
    assert done.returncode == 1 and "error" in done.stderr


@pytest.mark.parametrize("form", ["host=127.0.0.1 port={port} user=u password=sekret77",
                                  "host=127.0.0.1 port={port} user=u password = 'sekret77'",
                                  "postgresql://u:sekret77@127.0.0.1:{port}/",
                                  "postgresql://127.0.0.1:{port}/?user=u&password=sekret77",
                                  "host=127.0.0.1 port={port} user=u sslpassword=sekret77",
                                  "host=127.0.0.1 port={port} nosuchoption=1 password=sekret77",
                                  "host=127.0.0.1 port={port} password='sekret77"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_passwords_are_not_shown(world, walrx, form, log_format):
    conninfo = form.format(port=free_port())
    done = run_receiver(walrx, ["-D", world.archive(), "-n", "-v", "-v", f"--log-format={log_format}",
                                "-d", conninfo], world.base, timeout=20)
    assert done.returncode == 1
    assert "sekret77" not in done.stdout + done.stderr
    assert done.stderr


def test_password_from_the_environment_is_not_shown(world, walrx):
    server = world.server()
    run = world.receive(walrx, world.archive(), server, "-v", "-v", PGPASSWORD="sekret77")
    run.wait_streaming(server)
    assert run.stop() == 0
    assert "sekret77" not in run.log()


@pytest.mark.parametrize("group_access", [False, True])
def test_file_modes_follow_the_server(world, receiver, group_access):
    server = world.server(group_access=group_access)
    standby = world.standby(server)
    server.stop("fast")
    standby.promote()
    directory = world.archive()
    run = world.receive(receiver, directory, standby)
    run.wait_streaming(standby)
    standby.fill_segments(1)
    last = standby.switch()
    standby.insert()
    run.wait_received(standby)
    ar.wait_complete(directory, last)
    assert run.stop() == 0
    wanted = 0o640 if group_access else 0o600
    for path in directory.iterdir():
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path.name
    for path in (directory / ".walrx").rglob("*"):
        allowed = (0o750 if group_access else 0o700) if path.is_dir() else wanted
        assert stat.S_IMODE(path.stat().st_mode) & ~allowed == 0, path
    assert ar.histories(directory) and ar.partials(directory) and ar.segments(directory)


def test_modes_do_not_depend_on_the_umask(world, walrx):
    """The caller's umask neither opens nor closes the files."""
    server = world.server()
    directory = world.archive()
    script = world.base / "run.sh"
    script.write_text('#!/bin/sh\numask 0777\nexec "$@"\n')
    script.chmod(0o755)
    run = world.receive(walrx, directory, server, start=False)
    run.argv = [script, *run.argv]
    run.start()
    run.wait_streaming(server)
    server.fill_segments(1)
    run.wait_received(server)
    assert run.stop() == 0
    assert {stat.S_IMODE(p.stat().st_mode) for p in directory.iterdir() if p.is_file()} == {0o600}
