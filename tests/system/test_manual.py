"""The man pages and the completion: they know every key, command and option."""
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from harness.sluice import binary

REPO = Path(__file__).resolve().parents[2]
PAGES = Path(binary()).parent / "man"  # as they are installed
COMMANDS_PAGE, CONFIGURATION_PAGE = PAGES / "sluice.8", PAGES / "sluice.conf.5"
COMMANDS = ["run", "status", "queue", "send", "check"]
OF_QUEUE = ["ls", "show", "retry", "drop", "export", "count"]


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=True).stdout  # fmt: skip


def help_of(*words):
    return run(binary(), *words, "--help")


def rendered(page):
    return run("mandoc", "-T", "ascii", "-O", "width=78", str(page))


@pytest.mark.parametrize("page", sorted(PAGES.iterdir()), ids=lambda page: page.name)
def test_pages_are_well_formed(page):
    assert run("mandoc", "-T", "lint", "-W", "warning", str(page)) == ""


def test_every_key_is_in_the_page():
    """Those of config/sluice.conf, which a test holds against the program."""
    sections = dict(re.findall(r"^\[(\w+).*\]\n((?:(?!\[).*\n)*)", (REPO / "config/sluice.conf").read_text(), re.M))
    page = dict(re.findall(r"^\.Ss \[(\w+).*\]\n((?:(?!\.S[sh]).*\n)*)", CONFIGURATION_PAGE.read_text(), re.M))
    assert set(page) == set(sections)
    for name, text in sections.items():
        keys = set(re.findall(r"^;?(\w+) = ", text, re.M))
        told = re.findall(r"^\.It Ic (\w+)(?: , (\w+))?", page[name], re.M)
        assert {key for pair in told for key in pair if key} == keys, f"[{name}]"


def options_of(text):
    return set(re.findall(r"(?<![\w-])--?[a-z]+", text)) - {"-u"}


@pytest.mark.parametrize("words", [[c] for c in COMMANDS] + [["queue", c] for c in OF_QUEUE], ids=" ".join)
def test_every_option_is_in_the_page_and_completed(words):
    page = re.sub(r".\x08", "", rendered(COMMANDS_PAGE))
    said = options_of(help_of(*words))
    assert said - options_of(page) == set()
    script = (f"source {REPO}/config/sluice.bash-completion; COMP_WORDS=(sluice {' '.join(words)} -);"
              f" COMP_CWORD={len(words) + 1}; _sluice; echo \"${{COMPREPLY[@]}}\"")  # fmt: skip
    completed = set(run("bash", "-c", script).split())
    long = {option for option in said if option.startswith("--")}
    assert long - completed == set()


def test_commands_are_completed():
    script = f"source {REPO}/config/sluice.bash-completion; COMP_WORDS=(%s); COMP_CWORD=%d; _sluice; echo ${{COMPREPLY[@]}}"
    assert set(run("bash", "-c", script % ("sluice ''", 1)).split()) >= set(COMMANDS)
    assert set(run("bash", "-c", script % ("sluice queue ''", 2)).split()) >= set(OF_QUEUE)
    before = f"sluice queue ls -c {REPO}/config/sluice.conf --route"
    for words, at in ((f"{before} ''", 6), (f"{before} se", 6), (f"{before} =", 6), (f"{before} = se", 7)):
        assert run("bash", "-c", script % (words, at)) == "sensor\n"
    assert run("bash", "-c", script % (f"sluice check {REPO}/confi", 2)) == f"{REPO}/config\n"
    assert "--help" in run("bash", "-c", script % ("sluice check -", 2))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen(command):
    lines = help_of(command).splitlines()
    assert len(lines) <= 24 and all(len(line) <= 80 for line in lines)


def test_exit_statuses_are_in_the_page():
    statuses = set(re.findall(r"= (\d+),", (REPO / "bridge/cmd/cmd.h").read_text()))
    assert set(re.findall(r"^\.It (\d+)$", COMMANDS_PAGE.read_text(), re.M)) == statuses


def test_the_table_of_rooms_is_the_one_that_check_style_enforces():
    rows = re.findall(r"^\| (`.*?) \|", (REPO / "bridge/README.md").read_text(), re.M)
    assert [row.replace("`", "") for row in rows] == runpy.run_path(str(REPO / "scripts/check-style"))["ROOMS"]


def test_the_views_are_in_the_page():
    views = re.findall(r"^CREATE VIEW (\w+)", (REPO / "schema/001_queue.sql").read_text(), re.M)
    page = (PAGES / "sluice-queue.7").read_text()
    section = re.search(r"^\.Sh VIEWS\n((?:(?!\.Sh).*\n)*)", page, re.M).group(1)
    assert set(re.findall(r"^\.It Li (\w+)$", section, re.M)) == set(views)
