"""Each rule of scripts/check-style can fail, and reports the file, the line and the rule."""
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "check-style"


def function(lines):
    """A well-formatted function whose braces and body take that many lines."""
    return "int f(int i)\n{\n" + "    i++;\n" * (lines - 3) + "    return i;\n}\n"


@pytest.fixture
def check(tmp_path):
    """check({path: text, ...}) checks a tree of those files: (exit status, lines)."""
    def run(files):
        root = tmp_path / "tree"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        shutil.copy(ROOT / ".clang-format", root)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        ended = subprocess.run([SCRIPT, root], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               timeout=60, check=False)
        return ended.returncode, ended.stdout.splitlines()
    return run


def expect_fault(result, start, *words):
    """Exactly one fault, on the line that starts so and has these words."""
    status, lines = result
    assert status == 1, lines
    assert len(lines) == 2, lines
    assert lines[0].startswith(start), lines
    for word in words:
        assert word in lines[0], lines


def test_this_repository_is_clean():
    ended = subprocess.run([SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
                           check=False)
    assert ended.returncode == 0, ended.stdout


def test_a_good_tree_passes(check):
    good = ("/* strcpy() is banned */\n"
            '#include "message/topic.h"\n'
            "\n"
            '#include "base/log.h"\n'
            "\n"
            "#include <string.h>\n"
            "#include <sys/socket.h>\n"
            "\n"
            'static const char words[] = "sprintf(";\n'
            "\n" + function(50))
    status, lines = check({
        "bridge/message/topic.c": good,
        "bridge/message/topic.h": '#include "base/base.h"\n',
        "bridge/base/log.h": "",
        "bridge/base/base.h": "",
        "bridge/queue/queue.c": '#include "message/topic.h"\n#include "queue/salvage/rows.h"\n\n#include <sqlite3.h>\n',
        "bridge/queue/salvage/rows.h": '#include "queue/salvage/pages.h"\n',  # the same room
        "bridge/queue/salvage/pages.h": "",
        "bridge/deliver/deliver.h": "#include <uv.h>\n",
        "bridge/base/buf.c": function(50),
        "tests/bench/subscriber.c": "int f(void *m)\n{\n    return mosquitto_loop(m, 0, 1);\n}\n",
    })
    assert (status, lines[-1]) == (0, "10 files: ok"), lines


@pytest.mark.parametrize("includer, included", [
    ("base/log.c", "message/topic.h"),  # upwards
    ("message/topic.c", "queue/queue.h"),
    ("queue/blame.c", "deliver/deliver.h"),
    ("intake/intake.h", "daemon/daemon.h"),
    ("daemon/daemon.c", "cmd/run.h"),
    ("mqtt/edge.c", "http/edge.h"),  # a neighbour
    ("deliver/send.c", "control/control.h"),
    ("queue/admin/admin.c", "queue/salvage/rows.h"),
    ("queue/salvage/rows.c", "queue/queue.h"),  # out of a room in a room
])
def test_an_include_of_a_room_that_is_not_below_is_a_fault(check, includer, included):
    files = {f"bridge/{included}": "", f"bridge/{includer}": f'#include <errno.h>\n\n#include "{included}"\n'}
    expect_fault(check(files), f"bridge/{includer}:3: includes {included}: the room '", "below its own")


@pytest.mark.parametrize("includer, header, allowed", [
    ("intake/intake.c", "mosquitto.h", "mqtt/*"),
    ("http/edge.h", "mosquitto.h", "mqtt/*"),
    ("deliver/deliver.c", "curl/curl.h", "net/*"),
    ("deliver/deliver.c", "sqlite3.h", "queue/*"),
    ("config/config.c", "cjson/cJSON.h", "message/*"),
    ("message/topic.c", "zlib.h", "request/gzip.c"),
    ("intake/intake.c", "systemd/sd-daemon.h", "daemon/*"),
    ("queue/queue.c", "uv.h", "daemon/*"),
])
def test_a_library_outside_its_fence_is_a_fault(check, includer, header, allowed):
    result = check({f"bridge/{includer}": f"#include <{header}>\n"})
    expect_fault(result, f"bridge/{includer}:1: includes {header}: only ", allowed)


def test_a_fence_cannot_be_got_round_by_quotes(check):
    expect_fault(check({"bridge/message/topic.c": '#include "uv.h"\n'}),
                 "bridge/message/topic.c:1: includes uv.h: only ")


def test_a_library_without_a_fence_is_a_fault(check):
    expect_fault(check({"bridge/message/topic.c": "#include <lzma.h>\n"}),
                 "bridge/message/topic.c:1: includes lzma.h:", "fence")


@pytest.mark.parametrize("name", ["bridge/utils/text.c", "bridge/queue/extra/rows.c"])
def test_a_file_in_no_room_is_a_fault(check, name):
    expect_fault(check({name: "int x;\n"}), f"{name}:1:", "in no room")


@pytest.mark.parametrize("call", ["strcpy", "strcat", "sprintf", "vsprintf", "atoi", "atol", "strtok", "gets", "alloca",
                                  "mosquitto_loop", "mosquitto_loop_start", "mosquitto_loop_forever"])
def test_a_banned_call_is_a_fault(check, call):
    text = f"/* Not a comment's\n * matter. */\nint f(void)\n{{\n    return {call}(0);\n}}\n"
    expect_fault(check({"bridge/message/topic.c": text}), f"bridge/message/topic.c:5: {call}(): ")


def test_a_banned_call_in_a_test_is_a_fault(check):
    text = "int f(void)\n{\n    return atoi(0);\n}\n"
    expect_fault(check({"tests/unit/test_x.c": text}), "tests/unit/test_x.c:3: atoi(): ")


@pytest.mark.parametrize("call", ["snprintf", "fgets", "strtok_r", "mosquitto_loop_read", "mosquitto_loop_write",
                                  "mosquitto_loop_misc", "my_atoi"])
def test_a_call_that_looks_like_a_banned_one_is_allowed(check, call):
    status, lines = check({"bridge/message/topic.c": f"int f(void)\n{{\n    return {call}(0);\n}}\n"})
    assert status == 0, lines


@pytest.mark.parametrize("name", ["bridge/message/topic.c", "bridge/message/topic.h", "tests/unit/test_x.c", "tests/fuzz/deep/x.h"])
def test_a_file_that_is_not_formatted_is_a_fault(check, name):
    expect_fault(check({name: "int x;\nint  y;\n"}), f"{name}:2: is not formatted")


def test_a_function_that_is_too_long_is_a_fault(check):
    expect_fault(check({"bridge/message/topic.c": function(51)}), "bridge/message/topic.c:2: the function has 51 lines", "50")


def test_a_file_that_is_too_long_is_a_fault(check):
    text = "int f(int);\n" * 401
    expect_fault(check({"bridge/message/topic.h": text}), "bridge/message/topic.h:401: the file has 401 lines", "400")
    status, lines = check({"bridge/message/topic.h": text[:-len("int f(int);\n")]})
    assert status == 0, lines


def test_an_empty_tree_is_a_fault(check):
    status, lines = check({})
    assert status == 1, lines


def caller(name, *calls):
    return f"int {name}(void)\n{{\n" + "".join(f"    {call}();\n" for call in calls) + "    return 0;\n}\n"


CIRCLES = {
    "two files": {"queue/a.c": caller("a", "b"), "queue/b.c": caller("b", "a")},
    "three files": {"queue/a.c": caller("a", "b"), "queue/b.c": caller("b", "c"), "queue/c.c": caller("c", "a")},
    "two rooms": {"queue/a.c": caller("a", "b"), "db/b.c": caller("b", "a")},
    "an inline function in a header": {
        "queue/a.c": caller("a", "b"),
        "queue/b.h": "static inline int f(void)\n{\n    return a();\n}\n", "queue/b.c": caller("b")},
    "a function in a table": {
        "queue/a.c": "static const struct row rows[] = {\n    {b},\n};\n\n" + caller("a"), "queue/b.c": caller("b", "a")},
    "behind a label": {
        "queue/a.c": "int a(void)\n{\n    goto out;\nout:\n    b();\n    return 0;\n}\n", "queue/b.c": caller("b", "a")},
}


@pytest.mark.parametrize("files", CIRCLES.values(), ids=CIRCLES)
def test_files_that_call_each_other_in_a_circle_are_a_fault(check, files):
    files = {f"bridge/{name}": text for name, text in files.items()}
    expect_fault(check(files), "bridge/", "is in a circle of calls", "calls b() of ", "calls a() of queue/a")


@pytest.mark.parametrize("other", [
    "int a(void);\n\n" + caller("b"),  # a declaration
    "typedef int setter(void);\nsetter a, c;\n\n" + caller("b"),
    caller("b", "x.a", "y->a"),  # a member
    "static struct a *x;\n\n" + caller("b"),
    "/* a() */\n" + caller("b") + "\nstatic const char t[] = \"a()\";\n",
    "static " + caller("a") + "\n" + caller("b"),  # one of its own, though the other file calls it too
])  # fmt: skip
def test_a_name_that_is_no_call_makes_no_circle(check, other):
    files = {"bridge/queue/a.c": caller("a", "b"), "bridge/queue/b.c": other}
    if "static int a(" in other:
        files["bridge/queue/a.c"] = "static " + caller("a", "b")
    status, lines = check(files)
    assert status == 0, lines


@pytest.mark.parametrize("name, comment, there", [
    ("bridge/queue/a.c", "/* See queue/limits.c. */\n", False),
    ("bridge/queue/a.c", "/* See\n * bridge/queue/admin/row.h. */\n", False),
    ("tests/unit/queue/test_a.c", "// As queue/limits.h says.\n", False),
    ("bridge/queue/a.c", "/* See queue/a.c, tests/unit/queue/x.c, curl/curl.h, queue/NAME.c. */\n", True),
    ("tests/unit/queue/test_a.c", "/* See queue/test_a.c and queue/a.c. */\n", True),
])  # fmt: skip
def test_a_comment_that_names_a_missing_file_is_a_fault(check, name, comment, there):
    files = {"bridge/queue/a.c": "", name: comment}
    if there:
        assert check(files)[0] == 0
    else:
        line = comment.count("\n")
        expect_fault(check(files), f"{name}:{line}: a comment names queue/", "does not exist")


def test_a_unit_test_of_no_room_is_a_fault(check):
    expect_fault(check({"bridge/queue/a.c": "", "tests/unit/deliver/test_a.c": ""}),
                 "tests/unit/deliver/test_a.c:1: there is no room bridge/deliver")
