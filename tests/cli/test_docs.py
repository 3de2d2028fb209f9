# SPDX-License-Identifier: PostgreSQL
"""--help, the manual and the completion know the same options, in both directions."""

import re
import shutil
import subprocess

import pytest
from conftest import COMMANDS, TREE, long_options

MAN = TREE / "docs" / "man"
PAGES = sorted(MAN.glob("*.1"))


def described(page):
    """{long option: (short option or None, does it take a value)} of the entries of a manual's lists."""
    found = {}
    for line in (MAN / page).read_text().splitlines():
        match = re.match(r"\.It (?:Fl (\S+) , )?Fl -([a-z-]+)( Ns (?:= Ns|Op Ns =) .*)?$", line)
        if match:
            assert "--" + match[2] not in found, f"{page} describes --{match[2]} twice"
            short = "-" + match[1].removesuffix("\\&") if match[1] else None
            found["--" + match[2]] = (short, match[3] is not None)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_manual_describes_the_options_of_help(options, command):
    assert described(f"walrx-{command}.1") == options[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_completion_knows_the_options_of_help(walrx, options, command):
    script = walrx("completion", "bash").stdout
    line = re.search(rf"^ *{command}\) words='([^']*)'", script, re.M)
    assert long_options(line[1]) == set(options[command])


def test_completion_knows_which_options_take_values(walrx, options):
    script = walrx("completion", "bash").stdout
    cases = {name: short for short, name in re.findall(r"^ *(?:(-.) \| )?(--[a-z-]+)\) words=", script, re.M)}
    everything = {name: option for command in COMMANDS for name, option in options[command].items()}
    # A letter that is a flag of another command completes as after a flag.
    flags = {short for (short, has_value) in everything.values() if not has_value}
    assert cases == {name: short if short and short not in flags else ""
                     for name, (short, has_value) in everything.items() if has_value}


def test_main_manual_names_the_commands(walrx):
    listed = re.search(r"^Commands:\n(.*?)\n\n", walrx("--help").stdout, re.M | re.S)[1]
    commands = re.findall(r"^  ([a-z]+) ", listed, re.M)
    text = (MAN / "walrx.1").read_text()
    assert {*COMMANDS, "completion", "help"} <= set(commands)
    for command in commands:
        assert f".It Cm {command}\n" in text, command
        assert (MAN / f"walrx-{command}.1").exists() == (command in COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_option_named_in_a_manual_exists(options, page):
    """Also in running text: an option that was renamed must not live on in an example."""
    known = set().union(*options.values())
    named = {"--" + name for name in re.findall(r"Fl -([a-z-]+)", page.read_text())}
    named |= long_options(page.read_text().replace("\\-", "-"))
    assert named <= known, named - known


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_manuals_list_exit_statuses_and_are_well_formed(page):
    assert ".Sh EXIT STATUS" in page.read_text()
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True,
                              check=False)
        assert done.stdout == "" and done.returncode == 0, done.stdout


def test_manual_tells_what_the_file_of_options_may_not_hold(walrx, options, tmp_path):
    text = " ".join((MAN / "walrx-receive.1").read_text().split())
    forbidden = set()
    config = tmp_path / "walrx.conf"
    for name, (_, has_value) in options["receive"].items():
        config.write_text(f"{name[2:]} = {'x' if has_value else 'off'}\nnosuch = 1\n")  # never gets further
        done = walrx("receive", "-D", "x", f"--config={config}")
        assert done.returncode == 1
        if "belongs on the command line only" in done.stderr:
            forbidden.add(name)
    sentence = re.search(r"Every option but (.*?) may occur, once\.", text)[1]
    assert forbidden == {"--" + name for name in re.findall(r"-([a-z-]+)", sentence.replace("Fl ", ""))}
