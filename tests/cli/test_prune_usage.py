# SPDX-License-Identifier: PostgreSQL
"""walrx prune and walrx backup without a server: what is refused before anything is touched."""

import pytest


@pytest.mark.parametrize("args,message", [
    (["prune"], "no target directory specified"),
    (["prune", "-D", "x"], "nothing says what to keep"),
    (["prune", "-D", "x", "--keep-time=soon"], "keep-time"),
    (["prune", "-D", "x", "--keep-size=0"], "keep-size"),
    (["prune", "-D", "x", "more", "--keep-size=1GB"], "too many command-line arguments"),
    (["backup", "-D", "x"], "no action given"),
    (["backup", "forget", "-D", "x"], 'unknown action "forget"'),
    (["backup", "register", "x", "-D", "x"], "register needs a label and a base backup"),
    (["backup", "remove", "-D", "x"], "remove needs the label"),
    (["backup", "list", "x", "-D", "x"], "too many command-line arguments"),
    (["backup", "list"], "no target directory specified"),
    (["backup", "remove", "x", "-D", "x", "--json"], "cannot use remove together with --json"),
])
def test_wrong_calls_are_told(walrx, args, message):
    done = walrx(*args)
    assert done.returncode == 1 and message in done.stderr and "--help" in done.stderr, done


@pytest.mark.parametrize("args", [["prune", "--keep-size=1GB"], ["prune", "--keep-time=1d", "--dry-run"],
                                  ["backup", "list"], ["backup", "remove", "x"]])
def test_a_directory_that_is_no_archive_stays_as_it_is(walrx, tmp_path, args):
    (tmp_path / "file").write_text("x")
    done = walrx(*args, "-D", str(tmp_path))
    assert done.returncode == 2 and str(tmp_path) in done.stderr, done
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    missing = walrx(*args, "-D", str(tmp_path / "missing"))
    assert missing.returncode == 1, missing


@pytest.mark.parametrize("label", ["", "a\nb", "x" * 1025])
def test_labels_that_do_not_fit_are_refused(walrx, tmp_path, label):
    done = walrx("backup", "register", label, str(tmp_path), "-D", str(tmp_path))
    assert done.returncode == 1 and "label" in done.stderr, done
