"""Log events. A line of sluice's log is `TIME LEVEL event-name: text`. Event names come
from the table in bridge/base/event.h and are stable; the text may change at any time."""
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).resolve().parents[3] / "bridge" / "base" / "event.h"
LEVELS = ("error", "warning", "notice", "info", "debug")
_LINE = re.compile(rf"(\S+) ({'|'.join(LEVELS)}) ([a-z0-9-]+): (.*)", re.S)


# A backend or a route: its requests fail, a person must correct something, it works again.
AWAY = ("backend-away", "route-away")
MISCONFIGURED = ("backend-misconfigured", "route-misconfigured")
BACK = ("backend-back", "route-back")


@cache
def event_names():
    return frozenset(re.findall(r'^\s*EVENT\(\w+, "([^"]+)",', TABLE.read_text(), re.M))


@dataclass(frozen=True)
class Event:
    level: str
    name: str
    text: str


def parse(line):
    """The Event that a log line reports, or None: a sanitiser's line, for example."""
    match = _LINE.fullmatch(line)
    return Event(*match.group(2, 3, 4)) if match else None


class Pattern:
    """names: the name of an event, or several. fields: values that the text must contain
    as whole words, such as the name of a route, an id, or a number. level: one, or
    several. A name or a level that does not exist is an error in the test."""

    def __init__(self, names, fields=(), level=None):
        self.names = {names} if isinstance(names, str) else set(names)
        self.levels = set(LEVELS if level is None else [level] if isinstance(level, str) else level)
        unknown = self.names - event_names() | self.levels - set(LEVELS)
        assert not unknown, f"neither an event in {TABLE.name} nor a level: {', '.join(sorted(unknown))}"
        self.fields = [str(field) for field in fields]

    def __str__(self):
        return " ".join(["|".join(sorted(self.names)), *map(repr, self.fields)])

    def matches(self, line):
        event = parse(line)
        return (event is not None and event.name in self.names and event.level in self.levels
                and all(re.search(rf"(?<!\w){re.escape(field)}(?!\w)", event.text) for field in self.fields))
