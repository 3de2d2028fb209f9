# SPDX-License-Identifier: PostgreSQL
"""Every way to name a server and to prove who one is, each against a real server."""

import shutil
import socket
import time
from pathlib import Path

import pytest
from harness import archive as ar
from harness.receiver import run_receiver
from harness.util import clean_env, free_port, give_to_server, make_dir, run, wait_until, write_file

PASSWORD = "ge:heim\\1"  # has what a password file escapes


class Certificates:
    """A certificate authority, a server certificate for localhost, one for another name, a client's."""

    def __init__(self, base):
        self.dir = make_dir(base / "tls", 0o755)
        self.ca = self._self_signed("ca")
        self.stranger = self._self_signed("stranger")
        self.server = self._issue("server", "localhost", "DNS:localhost,IP:127.0.0.1")
        self.other = self._issue("other", "db.example.org", "DNS:db.example.org")
        self.client = self._issue("client", "certuser", "DNS:unused")

    def _self_signed(self, name):
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-days", "2", "-subj", f"/CN=walrx {name}", "-keyout", self.dir / f"{name}.key",
                      "-out", self.dir / f"{name}.crt")
        return self.dir / f"{name}.crt"

    def _issue(self, name, subject, names):
        key, crt, csr = (self.dir / f"{name}.{e}" for e in ("key", "crt", "csr"))
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-subj", f"/CN={subject}", "-keyout", key, "-out", csr)
        extensions = write_file(self.dir / f"{name}.ext", f"subjectAltName={names}\n")
        self._openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.dir / "ca.key", "-days", "2",
                      "-set_serial", str(abs(hash(name)) % 100000 + 1), "-extfile", extensions, "-out", crt)
        key.chmod(0o600)
        give_to_server(key)
        return crt, key

    @staticmethod
    def _openssl(*args):
        run(["openssl", *args])


@pytest.fixture(scope="module")
def tls(temp_root):
    base = Path(temp_root) / "certificates"
    make_dir(base, 0o755)
    return Certificates(base)


def secure_server(world, tls, certificate=None):
    """Replication for `repl` by SCRAM and for `certuser` by certificate, nothing else."""
    server = world.server(start=False)
    crt, key = certificate or tls.server
    server.configure(ssl="on", ssl_cert_file=crt, ssl_key_file=key, ssl_ca_file=tls.ca,
                     password_encryption="scram-sha-256")
    server.hba("host replication repl 127.0.0.1/32 scram-sha-256",
               "hostssl replication certuser 127.0.0.1/32 cert",
               "local replication repl scram-sha-256")
    server.start()
    server.create_table()
    quoted = PASSWORD.replace("'", "''")
    server.sql(f"create role repl login replication password '{quoted}'; create role certuser login replication")
    return server


def stream(world, receiver, server, *args, conninfo=None, input=None, **env):
    """Fetch up to the present and end; the result has the exit code, directory the archive."""
    server.insert(rows=3)
    goal = server.sql("select pg_current_wal_flush_lsn()")
    server.insert(rows=1)
    directory = world.archive()
    argv = [*receiver.command, "-D", directory, "-n", "-E", goal, *args]
    if conninfo is not None:
        argv += ["-d", conninfo]
    done = run(argv, env=clean_env(world.base, **env), check=False, timeout=30, input=input)
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        assert ar.partials(directory), "exit 0 without any WAL"
    else:
        assert done.returncode == 1, done
        assert not ar.partials(directory) and done.stderr
    return done


def accepted(done):
    assert done.returncode == 0, done.stderr
    return True


def refused(done, *words):
    assert done.returncode == 1, done
    assert any(w in done.stderr for w in words), done.stderr
    return True


def escaped(text):
    """A value inside of a connection string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def test_options_and_environment(world, receiver):
    server = world.server()
    port = str(server.port)
    assert accepted(stream(world, receiver, server, "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-w"))
    assert accepted(stream(world, receiver, server, "--host=127.0.0.1", f"--port={port}", "--username=postgres",
                           "--no-password"))
    assert accepted(stream(world, receiver, server, PGHOST="127.0.0.1", PGPORT=port, PGUSER="postgres"))
    assert accepted(stream(world, receiver, server, "-h", server.base, "-p", port, "-U", "postgres"))
    assert refused(stream(world, receiver, server, "-p", port, PGHOST="127.0.0.1", PGUSER="nosuchrole"), "nosuchrole")


def test_connection_strings(world, receiver):
    server = world.server()
    port = server.port
    for conninfo in (f"host=127.0.0.1 port={port} user=postgres",
                     f"host = 127.0.0.1 port='{port}' user = 'postgres' connect_timeout=5",
                     f"postgresql://postgres@127.0.0.1:{port}",
                     f"postgres://postgres@127.0.0.1:{port}/ignored?application_name=recv",
                     f"postgresql://postgres@{str(server.base).replace('/', '%2F')}:{port}/"):
        assert accepted(stream(world, receiver, server, conninfo=conninfo)), conninfo
    # The single options win over the string in PostgreSQL 15 (streamutil.c puts them behind it),
    # whatever its manual says.
    assert accepted(stream(world, receiver, server, "-p", str(port), "-U", "postgres",
                           conninfo="host=127.0.0.1 port=1 user=nosuchrole"))
    refused(stream(world, receiver, server, conninfo="host=127.0.0.1 nosuchoption=1"), "nosuchoption")


def test_service_file(world, receiver):
    server = world.server()
    services = write_file(world.base / "services.conf", f"""
[other]
port=1
[archive]
host=127.0.0.1
port={server.port}
user=postgres
""", 0o644)
    assert accepted(stream(world, receiver, server, conninfo="service=archive", PGSERVICEFILE=services))
    assert accepted(stream(world, receiver, server, PGSERVICE="archive", PGSERVICEFILE=services))
    refused(stream(world, receiver, server, conninfo="service=nosuch", PGSERVICEFILE=services), "nosuch")


def test_application_name(world, receiver):
    """Without a name of the caller's it is the program's; a given one is kept."""
    server = world.server()
    run_ = world.receive(receiver, world.archive(), server.conninfo(application_name="mine"))
    wait_until(lambda: server.sender("state", "mine") == ["streaming"], "streaming under the given name")
    assert run_.stop() == 0
    run_ = world.receive(receiver, world.archive(), server, start=False)
    run_.env.pop("PGAPPNAME")
    run_.start()
    default = "walrx" if receiver.is_walrx else "pg_receivewal"
    wait_until(lambda: server.sender("state", default) == ["streaming"], f"streaming as {default}")
    assert run_.stop() == 0


def test_several_hosts(world, receiver):
    server = world.server()
    standby = world.standby(server)
    dead = free_port()
    assert accepted(stream(world, receiver, server,
                           conninfo=f"host=127.0.0.1,127.0.0.1 port={dead},{server.port} user=postgres"))
    for attrs in ("read-write", "primary"):
        assert accepted(stream(
            world, receiver, server, "-v",
            conninfo=f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={dead},{standby.port},{server.port} "
                     f"user=postgres target_session_attrs={attrs}"))
        assert "received replication command: START_REPLICATION" not in standby.log_path.read_text()
    refused(stream(world, receiver, server, conninfo=f"host=127.0.0.1 port={standby.port} user=postgres "
                   "target_session_attrs=read-write"), "read-write", "read-only")


def test_scram_password(world, receiver, tls):
    server = secure_server(world, tls)
    base = f"host=127.0.0.1 port={server.port} user=repl"
    assert accepted(stream(world, receiver, server, conninfo=f"{base} password={escaped(PASSWORD)}"))
    assert accepted(stream(world, receiver, server, conninfo=base, PGPASSWORD=PASSWORD))
    uri = f"postgresql://repl:{PASSWORD.replace(':', '%3A').replace(chr(92), '%5C')}@127.0.0.1:{server.port}"
    assert accepted(stream(world, receiver, server, conninfo=uri))
    refused(stream(world, receiver, server, conninfo=f"{base} password=wrong"), "authentication failed")
    refused(stream(world, receiver, server, "-w", conninfo=base), "no password supplied")


def test_password_file(world, receiver, tls):
    server = secure_server(world, tls)
    line = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passfile = write_file(world.base / "pass", f"127.0.0.1:1:*:repl:wrong\n127.0.0.1:{server.port}:*:repl:{line}\n")
    base = f"host=127.0.0.1 port={server.port} user=repl"
    assert accepted(stream(world, receiver, server, "-w", conninfo=f"{base} passfile={passfile}"))
    assert accepted(stream(world, receiver, server, "-w", conninfo=base, PGPASSFILE=passfile))
    shutil.copy(passfile, world.base / ".pgpass")
    (world.base / ".pgpass").chmod(0o600)
    give_to_server(world.base / ".pgpass")
    assert accepted(stream(world, receiver, server, "-w", conninfo=base))  # HOME is world.base
    (world.base / ".pgpass").chmod(0o644)  # libpq ignores one that others may read
    refused(stream(world, receiver, server, "-w", conninfo=base), "no password supplied")


def test_asked_for_password(world, receiver, tls):
    """-W asks at once, and without it the password is asked for when the server wants one."""
    server = secure_server(world, tls)
    base = f"host=127.0.0.1 port={server.port} user=repl"
    # There is no terminal here: then walrx reads standard input only when -W says so.
    for args in (["-W"],) if receiver.kind == "walrx" else (["-W"], []):
        done = stream(world, receiver, server, *args, conninfo=base, input=PASSWORD + "\n")
        assert accepted(done)
        assert "Password" in done.stderr + done.stdout and PASSWORD not in done.stderr + done.stdout
    refused(stream(world, receiver, server, "-W", conninfo=base, input="wrong\n"), "authentication failed")


@pytest.fixture
def silent_port():
    """A host that takes the connection and never says anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


@pytest.mark.receivers("walrx", "front", "pg_receivewal")
def test_silent_host_is_passed_over(world, receiver, silent_port):
    """After connect_timeout the next host of the list gets its turn."""
    server = world.server()
    hosts = f"host=127.0.0.1,127.0.0.1 port={silent_port},{server.port} user=postgres connect_timeout=2"
    began = time.monotonic()
    assert accepted(stream(world, receiver, server, conninfo=hosts))
    assert 1.5 < time.monotonic() - began < 10


def test_silent_host_shares_the_receive_timeout(world, walrx, silent_port):
    server = world.server()
    hosts = f"host=127.0.0.1,127.0.0.1 port={silent_port},{server.port} user=postgres"
    began = time.monotonic()
    assert accepted(stream(world, walrx, server, "--receive-timeout=4s", conninfo=hosts,
                           PGCONNECT_TIMEOUT="0"))
    assert 1.5 < time.monotonic() - began < 10


def test_only_silent_hosts_end_in_time(world, walrx, silent_port):
    server = world.server()
    done = stream(world, walrx, server, "--receive-timeout=2s",
                  conninfo=f"host=127.0.0.1,127.0.0.1 port={silent_port},{silent_port} user=postgres",
                  PGCONNECT_TIMEOUT="0")
    refused(done, "no answer within 1000 ms")


@pytest.mark.parametrize("setting, words", [
    ("port=99999", "invalid port number"),
    ("port=abc", "invalid integer value"),
    ("sslmode=foo", "invalid sslmode value"),
    ("target_session_attrs=primry", "invalid target_session_attrs value"),
    ("host=127.0.0.1,127.0.0.1,127.0.0.1 port=1,2", "could not match"),
    ("client_encoding=foo", "client_encoding"),
])
def test_a_wrong_setting_is_not_tried_again(world, walrx, setting, words):
    """Without -n: only a person can mend it, so the run ends at once."""
    server = world.server()
    conninfo = f"host=127.0.0.1 port={server.port} user=postgres {setting}"
    done = run([*walrx.command, "-D", world.archive(), "-d", conninfo], env=clean_env(world.base),
               check=False, timeout=20)
    refused(done, words)


def test_tls_verify_full(world, receiver, tls):
    server = secure_server(world, tls)
    base = f"port={server.port} user=repl password={escaped(PASSWORD)} sslmode=verify-full"
    assert accepted(stream(world, receiver, server, conninfo=f"host=localhost {base} sslrootcert={tls.ca}"))
    assert accepted(stream(world, receiver, server, conninfo=f"host=127.0.0.1 {base} sslrootcert={tls.ca}"))
    refused(stream(world, receiver, server, conninfo=f"host=localhost {base} sslrootcert={tls.stranger}"),
            "certificate verify failed")
    refused(stream(world, receiver, server, conninfo=f"host=localhost {base} sslrootcert=/nonexistent"),
            "root certificate file")


def test_tls_refuses_another_name(world, receiver, tls):
    server = secure_server(world, tls, tls.other)
    base = f"host=localhost port={server.port} user=repl password={escaped(PASSWORD)} sslrootcert={tls.ca}"
    refused(stream(world, receiver, server, conninfo=f"{base} sslmode=verify-full"), "does not match host name")
    assert accepted(stream(world, receiver, server, conninfo=f"{base} sslmode=verify-ca"))


def test_channel_binding(world, receiver, tls):
    server = secure_server(world, tls)
    base = f"host=localhost port={server.port} user=repl password={escaped(PASSWORD)} channel_binding=require"
    assert accepted(stream(world, receiver, server, conninfo=f"{base} sslmode=verify-full sslrootcert={tls.ca}"))
    refused(stream(world, receiver, server, conninfo=f"{base} sslmode=disable"), "channel binding")


def test_client_certificate(world, receiver, tls):
    server = secure_server(world, tls)
    crt, key = tls.client
    base = f"host=localhost port={server.port} sslmode=verify-full sslrootcert={tls.ca}"
    assert accepted(stream(world, receiver, server, conninfo=f"{base} user=certuser sslcert={crt} sslkey={key}"))
    refused(stream(world, receiver, server, conninfo=f"{base} user=certuser"), "client certificate")
    refused(stream(world, receiver, server, conninfo=f"{base} user=repl sslcert={crt} sslkey={key}", PGPASSWORD="no"),
            "authentication failed")
    assert accepted(stream(world, receiver, server, PGHOST="localhost", PGPORT=server.port, PGUSER="certuser",
                           PGSSLMODE="verify-full", PGSSLROOTCERT=tls.ca, PGSSLCERT=crt, PGSSLKEY=key))


def test_role_without_replication_is_told_so(world, receiver):
    server = world.server()
    server.sql("create role plain login")
    refused(stream(world, receiver, server, conninfo=server.conninfo(user="plain")), "REPLICATION", "replication")


def test_authentication_failure_ends_the_loop(world, walrx, tls):
    """A wrong password is for the operator: no retry, even though loops are on."""
    server = secure_server(world, tls)
    done = run_receiver(walrx, ["-D", world.archive(), "-d", f"host=127.0.0.1 port={server.port} user=repl "
                                "password=wrong"], world.base, timeout=20)
    assert done.returncode == 1 and "authentication failed" in done.stderr
