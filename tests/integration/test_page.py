# SPDX-License-Identifier: PostgreSQL
"""The page in a real browser against a live receiver."""

import re

import pytest
from harness.browser import Browser
from harness.util import free_port, wait_until, write_file

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def browser():
    it = Browser()
    yield it
    it.close()


def received(browser):
    return browser.value("document.querySelector('[data-path=\"positions.received_lsn\"]').innerText")


def state(browser):
    return browser.value("document.querySelector('#word').innerText")


def test_the_page_shows_what_happens_within_seconds(world, walrx, browser):
    server = world.server()
    server.create_slot("archive")
    port = free_port()
    it = world.receive(walrx, world.archive(), server, f"--http={port}", slot="archive")
    it.wait_streaming(server)
    browser.resize(1280, 900)
    browser.open(f"http://127.0.0.1:{port}/")
    browser.wait("document.querySelector('#word').innerText === 'Streaming'")
    assert "archive" in browser.text("header") and browser.text("#slot") == "archive"

    before = received(browser)
    server.insert(200)
    goal = server.sql("select pg_current_wal_flush_lsn()")
    browser.wait(f"document.querySelector('[data-path=\"positions.received_lsn\"]').innerText !== {before!r}")
    wait_until(lambda: server.sql(f"select '{received(browser)}'::pg_lsn >= '{goal}'::pg_lsn") == "t", "it caught up")
    browser.wait("document.querySelector('#sync-p50_seconds').innerText.endsWith('s')", "a percentile")
    assert browser.complaints == []

    server.kill9()
    browser.wait("document.querySelector('#state').dataset.level === 'bad'", "the lost server shows", 10)
    assert state(browser) == "Not receiving"
    browser.wait("document.querySelector('#problems .bad') !== null")
    assert re.search("connect|closed|terminat|reset", browser.text("#problems"), re.I)
    browser.wait("/not receiving/.test(document.querySelector('#events').innerText)")
    server.start()
    browser.wait("document.querySelector('#word').innerText === 'Streaming'", "it streams again", 40)
    assert browser.complaints == []  # no error of the script, none of its policy, no request that failed

    # All it asked for is on this server.
    hosts = {re.match(r"(data:|\w+://[^/]+)", url)[1] for url in browser.requests}
    assert hosts <= {f"http://127.0.0.1:{port}", "data:"}
    it.kill9()
    browser.wait("document.querySelector('#word').innerText.startsWith('No contact')", "a dead receiver shows", 10)


def test_the_page_works_by_keyboard_on_a_phone_and_in_both_themes(world, walrx, browser):
    server = world.server()
    port = free_port()
    it = world.receive(walrx, world.archive(), server, f"--http={port}")
    it.wait_streaming(server)
    browser.resize(390, 844, mobile=True)
    browser.prefer("dark")
    browser.open(f"http://127.0.0.1:{port}/")
    browser.wait("document.querySelector('#word').innerText === 'Streaming'")
    assert browser.value("document.documentElement.scrollWidth") <= 390  # only tables scroll sideways
    assert browser.value("document.documentElement.dataset.theme") == "dark"
    background = "getComputedStyle(document.body).backgroundColor"
    dark = browser.value(background)
    focus = "document.activeElement.id || document.activeElement.dataset.chart || document.activeElement.className"
    seen = []
    for _ in range(20):
        browser.key("Tab", 9)
        seen.append(browser.value(focus))
        if seen[-1] == "theme":
            browser.key("Enter", 13)
            assert browser.value(background) != dark
        if seen[-1] == "rate":
            browser.key("Enter", 13)
            assert browser.text("#chart-title") == "Throughput over the last hour"
            break
    assert seen[0] == "skip" and {"theme", "seconds", "bytes", "rate"} <= set(seen)
    assert "Received" in browser.value("document.querySelector('#chart').getAttribute('aria-label')")
    assert browser.complaints == []


def test_the_page_asks_for_the_token_once(world, walrx, browser):
    server = world.server()
    port = free_port()
    token = write_file(world.base / "token", TOKEN + "\n")
    it = world.receive(walrx, world.archive(), server, f"--http={port}", f"--http-token-file={token}")
    it.wait_streaming(server)
    browser.open(f"http://127.0.0.1:{port}/")
    enter = "document.querySelector('#token').value = {!r}; document.querySelector('#login-form button').click()"
    browser.wait("document.querySelector('#login').open")
    browser.value(enter.format("wrong" * 5))
    browser.wait("document.querySelector('#login').open && !document.querySelector('#login-wrong').hidden")
    browser.value(enter.format(TOKEN))
    browser.wait("document.querySelector('#word').innerText === 'Streaming'")
    browser.open(f"http://127.0.0.1:{port}/")
    browser.wait("document.querySelector('#word').innerText === 'Streaming'")
    assert not browser.value("document.querySelector('#login').open")
