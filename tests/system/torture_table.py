"""The result of a torture: a row for each column."""
from harness.tally import Tally
from torture_rig import ROUTES

HEADINGS = ["", "published", "acknowledged", "delivered", "repeated, same key", "keys a message, at most",
            "messages under several keys", "out of order", "lost"]  # fmt: skip


def _with_excused(count, excused):
    return f"{count} ({excused})" if excused else str(count)


class Row:
    """The result of a finished Rig."""

    def __init__(self, column, rig, rounds):
        self.column = column
        self._tallies = {route: Tally(rig.messages(), rig.requests(route)) for route in ROUTES}
        self.faults = rig.complaints + self._shared_keys(rig.backend.requests)
        for route, tally in self._tallies.items():
            self.faults += [f"route {route}: {fault}" for fault in self._broken_promises(tally)]
        self.held = not self.faults
        self._rounds = f"{rounds}, {rig.age_s():.0f} s, {rig.disk.kind}, commits of {rig.batch}"
        self._events = ", ".join(f"{count} {what}" for what, count in sorted(rig.events.items()))
        self._rig_story = [] if self.held else rig.history + ["sluice's log ends:", *rig.sluice.log[-60:]]

    @staticmethod
    def _broken_promises(tally):
        found = {
            "lost": tally.lost_examples,
            "under several keys": tally.again_examples,
            "out of order": tally.out_of_order * ["a message"],
            "keys that stand for several messages": tally.shared_keys,
            "delivered, and never published": tally.never_published,
        }
        return [f"{len(them)} {what}: {', '.join(map(str, them[:5]))} ..." for what, them in found.items() if them]

    @staticmethod
    def _shared_keys(requests):
        """Each route has its own copy of a message, with a key of its own."""
        paths = {}
        for request in requests:
            paths.setdefault(request.key, set()).add(request.path)
        shared = [key for key, found in paths.items() if len(found) > 1]
        return [f"{len(shared)} keys in several routes: {', '.join(shared[:5])} ..."] if shared else []

    def cells(self):
        """The numbers of all routes together; a message is published for each of them."""
        tallies = self._tallies.values()

        def total(name):
            return sum(getattr(tally, name) for tally in tallies)

        return [self.column, str(total("published")), str(total("acked")), str(total("delivered")),
                str(total("repeated")), str(max(tally.keys_most for tally in tallies)),
                _with_excused(total("again"), total("again_by_broker")), str(total("out_of_order")),
                _with_excused(total("lost"), total("lost_by_broker"))]  # fmt: skip

    def story(self):
        """What was done, and what was wrong."""
        lines = [f"{self.column}: {self._rounds}: {self._events}"]
        lines += [f"  {line}" for line in self._rig_story]
        lines += [f"{self.column}: FAULT: {fault}" for fault in self.faults]
        return "\n".join(lines)


def _wrapped(heading, width):
    """A heading as lines of no more than the width of its longest word, or `width`."""
    lines = [""]
    for word in heading.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def table(rows):
    cells = [row.cells() for row in rows]
    headings = [_wrapped(heading, 12) for heading in HEADINGS]
    height = max(map(len, headings))
    headings = [[""] * (height - len(lines)) + lines for lines in headings]
    lines = [*zip(*headings), *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    made = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(line, widths))) for line in lines]  # fmt: skip
    made.insert(height, "-" * len(made[-1]))
    return "\n".join(["", *made, "(in parentheses: excused by a kill -9 of the broker)", ""])
