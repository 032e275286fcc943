"""A wall clock for sluice alone: see SLUICE_CLOCK in bridge/base/fault.h."""


class Clock:
    def __init__(self, path):
        self.path = path

    def set(self, offset_ms, word):
        self.path.write_text(f"{offset_ms} {word}\n")
        return self

    @property
    def env(self):
        return {"SLUICE_CLOCK": str(self.path)}
