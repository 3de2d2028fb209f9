# SPDX-License-Identifier: PostgreSQL
"""What a receiver serves by HTTP: to curl, to probes, to a real Prometheus, and to whoever means harm."""

import http.client
import json
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from harness.packages import unpacked
from harness.receiver import run_receiver
from harness.util import clean_env, free_port, make_dir, run, wait_until, write_file

TOKEN = "0123456789abcdef0123456789abcdef"


def get(port, path, headers=None, method="GET", context=None):
    """(status, headers, text)"""
    kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
    connection = kind("127.0.0.1", port, timeout=10, **({"context": context} if context else {}))
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def samples(text):
    """{name with labels: value}"""
    return {name: float(value) for name, value in re.findall(r"^([a-z][^ ]*(?:\{.*\})?) (\S+)$", text, re.M)}


def watched(world, walrx, server, *args, **more):
    port = free_port()
    it = world.receive(walrx, world.archive(), server, f"--http={port}", *args, **more)
    it.http = port
    return it


@pytest.fixture
def prometheus(fetched):
    return fetched(unpacked, "prometheus") / "usr/bin"


def test_status_metrics_and_health_follow_the_stream(world, walrx, prometheus):
    server = world.server()
    server.create_slot("archive")
    it = watched(world, walrx, server, "--compress=lz4", slot="archive")
    it.wait_streaming(server)
    wait_until(lambda: get(it.http, "/readyz")[0] == 200, "ready")
    before = samples(get(it.http, "/metrics")[2])
    server.insert(500)
    server.fill_segments(2)
    goal = server.sql("select pg_current_wal_flush_lsn()")
    it.wait_received(server, goal, "flush_lsn")

    status, headers, text = get(it.http, "/status")
    state = json.loads(text)
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert state["process"]["state"] == "streaming"
    assert state["pg_stat_wal_receiver"]["slot_name"] == "archive"

    def compressed():
        return samples(get(it.http, "/metrics")[2]).get("walrx_segments_compressed_total", 0) >= 2
    wait_until(compressed, "segments are compressed")
    status, headers, text = get(it.http, "/metrics")
    assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    after = samples(text)
    assert after["walrx_up"] == 1
    assert after["walrx_received_bytes_total"] > before["walrx_received_bytes_total"]
    assert after["walrx_receive_to_flush_duration_seconds_count"] > before["walrx_receive_to_flush_duration_seconds_count"]
    assert after["walrx_position_bytes{stage=\"flushed\"}"] >= server.number(f"select '{goal}'::pg_lsn - '0/0'")
    check = subprocess.run([prometheus / "promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                           check=False)
    assert (check.returncode, check.stdout + check.stderr) == (0, "")

    status, headers, text = get(it.http, "/")
    assert status == 200 and "<html" in text and "unsafe" not in headers["Content-Security-Policy"]
    assert get(it.http, "/", {"If-None-Match": headers["ETag"]})[0] == 304
    assert get(it.http, "/status", method="HEAD")[2] == ""

    server.kill9()
    wait_until(lambda: get(it.http, "/readyz")[0] == 503, "not ready", 15)
    for path in ("/healthz", "/readyz"):
        status, _, text = get(it.http, path)
        assert status == 503 and text.startswith("not streaming: restarting: ")
    assert get(it.http, "/livez")[0] == 200  # a restart would mend nothing
    assert samples(get(it.http, "/metrics")[2])["walrx_up"] == 0
    server.start()
    wait_until(lambda: get(it.http, "/healthz")[0] == 200, "ready again", 40)
    events = [e["text"] for e in json.loads(get(it.http, "/events")[2])["events"]]
    lost = next(i for i, e in enumerate(events) if e.startswith("not receiving"))
    assert any(e.startswith("streaming timeline 1") for e in events[lost:]), events
    assert it.stop() == 0


def test_a_receiver_that_is_too_far_behind_is_not_ready(world, walrx):
    server = world.server()
    it = watched(world, walrx, server, "--http-max-lag=1s", "--flush-interval=1h")
    it.wait_streaming(server)
    server.insert(10)
    status, _, text = wait_until(lambda: (a := get(it.http, "/readyz"))[0] == 503 and a, "behind")
    assert re.fullmatch(r"behind: durable WAL by \d+\.\d s, more than 1s\n", text)
    assert get(it.http, "/livez")[0] == 200


def handshake(port, version):
    """Does the server agree to this version of TLS?"""
    done = run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-cipher", "ALL:@SECLEVEL=0"],
               check=False, input="")
    return "Cipher is (NONE)" not in done.stdout


def test_prometheus_scrapes_a_receiver(world, walrx, prometheus):
    """With TLS and a token, as one would across a network."""
    server = world.server()
    key, crt = world.base / "http.key", world.base / "http.crt"
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=walrx", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", crt])
    token = write_file(world.base / "token", TOKEN + "\n")
    it = watched(world, walrx, server, f"--http-cert={crt}", f"--http-key={key}", f"--http-token-file={token}")
    it.wait_streaming(server)

    context = ssl.create_default_context(cafile=crt)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert get(it.http, "/metrics", context=context)[0] == 401
    assert get(it.http, "/metrics", {"Authorization": "Bearer " + "x" * 32}, context=context)[0] == 401
    assert get(it.http, "/metrics", bearer, context=context)[0] == 200
    assert get(it.http, "/readyz", context=context)[2] == "ok\n"  # whether, not why
    assert get(it.http, "/readyz", bearer, context=context)[2].startswith("ok: streaming")
    assert handshake(it.http, "-tls1_2") and not handshake(it.http, "-tls1_1")

    port, home = free_port(), make_dir(world.base / "prometheus")
    config = write_file(home / "prometheus.yml", f"""
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
- job_name: walrx
  scheme: https
  authorization: {{credentials_file: {token}}}
  tls_config: {{ca_file: {crt}}}
  static_configs: [{{targets: ['127.0.0.1:{it.http}']}}]
""")
    with open(home / "log", "w") as log:
        process = subprocess.Popen(
            [prometheus / "prometheus", f"--config.file={config}", f"--storage.tsdb.path={home}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--web.console.templates=/", "--web.console.libraries=/"],
            env=clean_env(world.base), stdout=log, stderr=log)
    try:
        def ask(query):
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
            try:
                answer = json.loads(urllib.request.urlopen(url, timeout=5).read())
            except OSError:
                return []
            return answer["data"]["result"]
        assert wait_until(lambda: ask("walrx_up"), f"a sample: {(home / 'log').read_text()}")[0]["value"][1] == "1"
        server.insert(100)
        server.switch()
        wait_until(lambda: ask("walrx_segments_completed_total > 0"), "a counter that moved")
        wait_until(lambda: ask("histogram_quantile(0.99, rate(walrx_receive_to_flush_duration_seconds_bucket[10s])) > 0"),
                   "a percentile out of a histogram")
    finally:
        process.kill()
        process.wait(10)
    assert it.stop() == 0


def test_what_cannot_be_served_ends_the_start_with_the_cause(world, walrx):
    server = world.server()
    short = write_file(world.base / "short", "tooshort\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cases = {
            (f"--http={port}",): f"could not listen on 127.0.0.1:{port} for HTTP: Address already in use",
            ("--http=192.0.2.1:9187",): "could not listen on 192.0.2.1:9187 for HTTP: Cannot assign requested address",
            ("--http=9187", "--http-token-file=/nothing"): 'could not read token file "/nothing": No such file',
            ("--http=9187", f"--http-token-file={short}"): "a token has 16 to 512 characters, this one 8",
            ("--http=9187", f"--http-cert={short}", f"--http-key={short}"):
                "could not start the HTTP server with this certificate and key",
        }
        for args, text in cases.items():
            done = run_receiver(walrx, ["-D", world.archive(), "-d", server.conninfo(), *args], world.base)
            assert done.returncode == 1 and text in done.stderr, done.stderr


def flood(port, stop):
    """Half requests, dripped requests, big ones, answers nobody reads."""
    crowd = []
    while not stop.is_set():
        try:
            it = socket.create_connection(("127.0.0.1", port), timeout=2)
            it.sendall((b"GET / HT", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n" + b"x" * 9999,
                        b"\x16\x03\x01\xff")[len(crowd) % 4])
            crowd.append(it)
        except OSError:
            time.sleep(0.01)
        if len(crowd) > 300:
            crowd.pop(0).close()
    for it in crowd:
        it.close()


def test_a_flood_of_requests_does_not_hold_up_receiving(world, walrx):
    server = world.server()
    it = watched(world, walrx, server)
    it.wait_streaming(server)
    stop = threading.Event()
    crowd = [threading.Thread(target=flood, args=(it.http, stop)) for _ in range(3)]
    for thread in crowd:
        thread.start()
    try:
        for _ in range(5):
            server.insert(50)
            server.switch()
            it.wait_received(server, timeout=20)
    finally:
        stop.set()
        for thread in crowd:
            thread.join()
    wait_until(lambda: get(it.http, "/livez")[0] == 200, "it answers again", 30)
    assert it.stop() == 0


def test_nothing_listens_without_the_option_and_not_under_the_other_name(world, walrx, programs):
    server = world.server()
    it = world.receive(walrx, world.archive(), server)
    it.wait_streaming(server)
    tables = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    listening = {row[9] for row in map(str.split, tables.splitlines()) if len(row) > 9 and row[3] == "0A"}
    own = set(re.findall(r"socket:\[(\d+)\]", run(["ls", "-l", f"/proc/{it.process.pid}/fd"]).stdout))
    assert own and not own & listening
    done = run_receiver(programs("front"), ["-D", world.archive(), "--http=9187"], world.base)
    assert done.returncode == 1 and "unrecognized option" in done.stderr
