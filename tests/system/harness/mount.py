"""A command that sees a directory of the test in another place, such as /etc/mosquitto."""
import os
import subprocess


def with_mounts(arguments, mounts, **more):
    """Runs a command in a mount namespace of its own. mounts: {place: directory of the test}. A place
    that this machine does not have is made, empty, and left. Returns the ended process."""
    for place in mounts:
        os.makedirs(place, exist_ok=True)
    script = "".join(f'mount --bind "{directory}" "{place}"; ' for place, directory in mounts.items())
    return subprocess.run(["unshare", "--mount", "/bin/sh", "-euc", script + 'exec "$@"', "sh", *map(str, arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)  # fmt: skip
