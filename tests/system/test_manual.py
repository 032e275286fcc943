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


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=True).stdout  # fmt: skip


def completions(*words):
    return run(binary(), "help", "--complete", *words).split()


COMMANDS = [name for name in completions() if name != "help"]
OF_QUEUE = [name for name in completions("queue") if name != "help"]


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


def test_each_promise_names_tests_that_exist():
    """Each promise has a row with its tests: FILE: TEST, TEST, FILE: TEST."""
    section = re.search(r"^## Promises.*?(?=^## )", (REPO / "tests/README.md").read_text(), re.M | re.S).group()
    rows = re.findall(r"^\| ([^|]+) \| (.*`test_\w+\.py`.*) \|$", section, re.M)
    assert len(rows) >= 10
    for promise, tests in rows:
        for name in re.findall(r"`(test_\w+(?:\.py)?)`", tests):
            if name.endswith(".py"):
                source = (REPO / "tests/system" / name).read_text()
            else:
                assert f"\ndef {name}(" in source, f"{promise}: {name}"


def test_the_control_protocol_is_in_the_page():
    page = (PAGES / "sluice-control.7").read_text()
    words = re.findall(r'= "(\w+)"', (REPO / "bridge/control/protocol.c").read_text())
    header = (REPO / "bridge/control/protocol.h").read_text()
    words += re.findall(r'#define CONTROL_\w+ +"(\w+)"', header)
    limits = {name: eval(value) for name, value in re.findall(r"CONTROL_(\w+) = ([\d *]+),", header)}
    assert len(words) == 14 and all(re.search(rf"Li {word}\b", page) for word in words)
    for name in ("CLIENTS_MOST", "SENDERS_MOST", "TOPIC_MOST", "PAYLOAD_MOST", "RESULT_MOST", "PATIENCE_S"):
        assert re.search(rf"\b{limits[name]}\b", page), name


def options_of(text):
    return set(re.findall(r"(?<![\w-])--?[a-z]+", text)) - {"-u"}


def completed(*words):
    """What bash offers after these words; the last one is incomplete."""
    script = (f"PATH={Path(binary()).parent}:$PATH; source {REPO}/config/sluice.bash-completion;"
              f" COMP_WORDS=(sluice {' '.join(words)}); COMP_CWORD={len(words)}; _sluice; echo \"${{COMPREPLY[@]}}\"")
    return run("bash", "-c", script).split()


@pytest.mark.parametrize("words", [[c] for c in COMMANDS] + [["queue", c] for c in OF_QUEUE], ids=" ".join)
def test_every_option_is_in_help_page_and_completion(words):
    page = re.sub(r".\x08", "", rendered(COMMANDS_PAGE))
    documented = options_of(help_of(*words))
    assert documented - options_of(page) == set()
    offered = completed(*words, "-")
    if words != ["queue"]:
        assert {option for option in documented if option.startswith("--")} - set(offered) == set()
        assert set(offered) - documented == {"--help"}


def test_commands_are_completed():
    assert {"run", "status", "queue", "send", "check"} <= set(COMMANDS)
    assert {"ls", "show", "retry", "drop", "export", "count"} <= set(OF_QUEUE)
    assert completed("''") == [*COMMANDS, "help"] == completed("help", "''")
    assert completed("queue", "''") == [*OF_QUEUE, "help"]
    before = ["queue", "ls", "-c", f"{REPO}/config/sluice.conf", "--route"]
    for words in (["''"], ["se"], ["="], ["=", "se"]):
        assert completed(*before, *words) == ["sensor"]
    assert completed("check", f"{REPO}/confi") == [f"{REPO}/config"]


def test_the_synopsis_in_the_page_is_that_of_the_help():
    for command in COMMANDS:
        usage = f"sluice {command}" if command == "queue" else help_of(command).splitlines()[0].removeprefix("usage: ")
        assert usage in re.sub(r"\s+", " ", re.sub(r".\x08", "", rendered(COMMANDS_PAGE)))


def test_every_log_event_is_in_the_page():
    events = re.findall(r'^ +EVENT\(\w+, "([^"]+)", "([^"]+)"\)', (REPO / "bridge/base/event.h").read_text(), re.M)
    section = re.search(r"^\.Sh LOG\n((?:(?!\.Sh).*\n)*)", COMMANDS_PAGE.read_text(), re.M).group(1)
    assert re.findall(r"^\.It Li (\S+)\n(.*)$", section, re.M) == events and len(events) > 50


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


def test_every_file_that_the_documents_name_exists():
    """Links, and paths in backquotes, which may leave out the first folders. NAME stands for any name."""
    files = [str(path) for top in REPO.iterdir() if top.name not in ("build", ".git") for path in top.rglob("*")]
    missing = []
    for document in [path for pattern in ("*.md", "*/*.md", "tests/*/*.md") for path in REPO.glob(pattern)]:
        text = document.read_text()
        links = [document.parent / link for link in re.findall(r"\]\((?!http)([^)#]+)", text)]
        missing += [f"{document}: {link}" for link in links if not link.exists()]
        missing += [f"{document}: {path}" for path in re.findall(r"`(?:\.\./)?((?:\w+/)+[\w.]+\.[a-z]+)`", text)
                    if not re.search("^build/|[A-Z]{4}", path) and not any(f.endswith(f"/{path}") for f in files)]
    assert missing == []
