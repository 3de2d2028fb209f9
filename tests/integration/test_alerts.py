# SPDX-License-Identifier: PostgreSQL
"""Alert rules, their tests, the runbook, the dashboard and the manual of metrics fit each other."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from harness.packages import unpacked

DOCS = Path(__file__).resolve().parents[2] / "docs"
RULES = (DOCS / "prometheus/walrx-alerts.yml").read_text()
TESTS = (DOCS / "prometheus/walrx-alerts-test.yml").read_text()
ALERTS = re.findall(r"^  - alert: (\w+)$", RULES, re.M)
DESCRIBED = dict(re.findall(r"^\| `(walrx_\w+)` \| (\w+) \|", (DOCS / "metrics.md").read_text(), re.M))
SERIES = {name + end for name, kind in DESCRIBED.items()
          for end in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}


@pytest.fixture
def promtool(fetched):
    tool = fetched(unpacked, "prometheus") / "usr/bin/promtool"

    def call(*args):
        return subprocess.run([tool, *args], cwd=DOCS / "prometheus", capture_output=True, text=True, check=False)
    return call


def test_the_rules_are_right_and_fire_when_they_should(promtool):
    done = promtool("check", "rules", "--lint-fatal", "walrx-alerts.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("test", "rules", "walrx-alerts-test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_and_has_its_entry_in_the_runbook():
    assert len(ALERTS) > 10
    assert set(re.findall(r"^    alertname: (\w+)$", TESTS, re.M)) == set(ALERTS)  # fires
    for name in ALERTS:
        assert len(re.findall(rf"alertname: {name}, exp_alerts: \[\]", TESTS)) == 2  # not too early, not when all is well
        assert f"docs/runbook.md#{name.lower()}\"" in RULES
    runbook = (DOCS / "runbook.md").read_text()
    assert re.findall(r"^## (\w+)$", runbook, re.M) == ALERTS
    for part in re.split(r"^## ", runbook, flags=re.M)[1:]:
        assert "**Means** " in part and "**Do** " in part
    assert set(re.findall(r"`(Walrx\w+)`", (DOCS / "metrics.md").read_text())) <= set(ALERTS)


def test_rules_and_dashboard_ask_for_metrics_that_exist():
    dashboard = json.loads((DOCS / "prometheus/walrx-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) > 15
    for text in (RULES, *asked):
        used = set(re.findall(r"\bwalrx_[a-z_]+", text))
        assert used <= SERIES, used - SERIES


def test_links_between_these_pages_lead_somewhere():
    for page in ("metrics.md", "runbook.md"):
        for path, anchor in re.findall(r"\]\(([^)#]*)(?:#([\w-]+))?\)", (DOCS / page).read_text()):
            target = DOCS / (path or page)
            assert target.is_file(), f"{page}: {path}"
            if anchor:
                heads = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
                         for head in re.findall(r"^#+ (.*)$", target.read_text(), re.M)}
                assert anchor in heads, f"{page}: {path}#{anchor}"
