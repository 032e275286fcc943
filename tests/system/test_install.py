"""scripts/run and scripts/install in a fresh Debian system, and `cmake --install`.

debootstrap makes a fresh system in a directory (the tree), from the mirrors that apt of
this machine uses. The tests run commands inside it as root, in new namespaces: each
process ends with the command that started it, and the ports are not those of this
machine. No systemd runs in the tree. The tests depend on their order in this file: each
starts with the tree that the previous one left.
"""
import os
import platform
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from harness.sluice import binary

pytestmark = [pytest.mark.build("dev"), pytest.mark.xdist_group("install")]  # the tests share the tree

REPO = Path(__file__).resolve().parents[2]
SOURCE = "root/sluice"
PAGES = [f"share/man/man{page.suffix[1:]}/{page.name}" for page in (REPO / "config/man").iterdir()]
FILES = {"bin/sluice", "lib/systemd/system/sluice.service", "lib/sysusers.d/sluice.conf", *PAGES,
         "share/bash-completion/completions/sluice", "share/doc/sluice/LICENSE", "share/doc/sluice/README.md",
         "share/sluice/sluice.conf", "share/sluice/limitless-garden.conf",
         "share/sluice/mosquitto-sluice.acl", "share/sluice/mosquitto-sluice.conf", "share/sluice/setup.bash"}  # fmt: skip
LOOPBACK_UP = (
    "import fcntl, socket, struct\n"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41))\n"  # SIOCSIFFLAGS: up, running
)


def run(args, status=0, **more):
    result = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace", **more)  # fmt: skip
    assert result.returncode == status, f"{args} ended with {result.returncode}:\n{result.stdout[-6000:]}"
    return result.stdout


def files_below(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


class Tree:
    """A Debian system in a directory."""

    def __init__(self, path):
        self.path = path

    def __truediv__(self, path):
        return self.path / path

    def run(self, script, network=True, inside=True, status=0):
        """Runs a shell script inside the tree, or outside it with $TREE as its path.
        Without network, the script has only a loopback interface."""
        setup = 'mount -t proc proc "$TREE/proc"; '
        if not network:
            setup += f'/usr/bin/python3 -c "{LOOPBACK_UP}"; '
        setup += 'exec chroot "$TREE" /bin/bash -euc "$0"' if inside else 'exec /bin/bash -euc "$0"'
        namespaces = ["--mount", "--pid", "--fork", "--kill-child"] + ([] if network else ["--net"])
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                       "HOME": "/root", "TREE": str(self.path)}  # fmt: skip
        return run(["unshare", *namespaces, "/bin/sh", "-euc", setup, script], status, env=environment)

    def install(self, arguments=""):
        return self.run(f"cd /{SOURCE} && ./scripts/install {arguments}")

    def facts(self, path):
        """Returns permissions, owner and group of a file, e.g. '750 root:sluice'."""
        return self.run(f"stat -c '%a %U:%G' {path}").strip()


def apt_sources():
    return run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT) $(CODENAME)",
                "Created-By: Packages", "Origin: Debian"]).splitlines()  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    sources = sorted(set(apt_sources()))
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    mirror = next(line.split()[0] for line in sources if line.split()[1] == release)
    path = tmp_path_factory.mktemp("tree") / "debian"
    run(["debootstrap", "--variant=minbase", release, str(path), mirror])
    tree = Tree(path)
    (tree / "etc/apt/sources.list").write_text(
        "".join("deb {} {} {}\n".format(*line.split()) for line in sources if line.split()[2] == "main")
    )
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")  # as Debian's installer does
    (tree / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")
    skip = shutil.ignore_patterns(".git", "build", "__pycache__")
    shutil.copytree(REPO, tree / SOURCE, ignore=skip, symlinks=True)
    yield tree
    shutil.rmtree(path.parent, ignore_errors=True)


def test_demo_installs_its_packages_and_starts_no_service(tree):
    output = tree.run(
        f"""
        cd /{SOURCE}
        ./scripts/run --seconds 1
        cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | sed 's/^/left: /'
        """
    )
    assert re.search(r"^installing gcc .* mosquitto", output, re.M)
    assert re.search(r"(\d+) readings published, \1 arrived, 0 missing", output)
    assert "mosquitto" not in re.search(r"^left: .*", output, re.M).group()
    assert not list((tree / "usr/sbin").glob("policy-rc.d*"))
    assert os.listdir(tree / "tmp") == []


@pytest.fixture(scope="module")
def installed(tree):
    policy = tree / "usr/sbin/policy-rc.d"  # as usual in a chroot: packages start no service
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    tree.output = tree.install()
    return tree


def test_files_modes_and_user(installed):
    assert FILES <= files_below(installed / "usr/local")
    assert installed.run("sluice --version").strip() == "sluice 0.1.0"
    assert installed.facts("/usr/local/bin/sluice") == "755 root:root"
    assert installed.facts("/etc/sluice") == "750 root:sluice"
    assert installed.facts("/etc/sluice/sluice.conf") == "640 root:sluice"
    assert installed.facts("/etc/sluice/broker_password") == "640 root:sluice"
    assert installed.facts("/etc/sluice/device_password") == "600 root:root"
    assert installed.facts("/var/lib/sluice") == "2750 sluice:sluice"
    assert installed.facts("/etc/mosquitto/sluice.passwd") == "600 mosquitto:mosquitto"
    assert installed.facts("/etc/mosquitto/sluice.acl") == "640 mosquitto:mosquitto"
    assert "/var/lib/sluice:/usr/sbin/nologin" in installed.run("getent passwd sluice")
    for service in ("sluice", "mosquitto"):
        assert installed.run(f"systemctl is-enabled {service}") == "enabled\n"
    assert (installed / "usr/sbin/policy-rc.d").read_text() == "#!/bin/sh\nexit 101\n"


def test_it_prints_the_next_steps_without_passwords(installed):
    assert "systemctl start sluice" in installed.output
    for name in ("broker_password", "device_password"):
        secret = (installed / "etc/sluice" / name).read_text()
        assert len(secret) == 20 and secret not in installed.output


def test_first_configuration_is_valid_for_the_service_user(installed):
    """Except for the host of the backend, which a person must write."""
    assert "this host is only an example" in installed.run("runuser -u sluice -- sluice check", status=1)
    installed.run("sed -i s/garden.example.org/garden.home.arpa/ /etc/sluice/sluice.conf")
    assert ": ok: 1 backend, 1 route" in installed.run("runuser -u sluice -- sluice check")


def test_installed_parts_work_together(installed):
    """Mosquitto and sluice run as their units start them: a device publishes a reading with
    its password, and a member of the group reads it in the queue."""
    output = installed.run(
        """
        chroot "$TREE" useradd --groups sluice reader
        chroot "$TREE" install -d -o mosquitto /var/log/mosquitto /run/mosquitto
        chroot --userspec=sluice:sluice "$TREE" sluice run 2>"$TREE/sluice.log" & sluice=$!
        chroot "$TREE" mosquitto -c /etc/mosquitto/mosquitto.conf & mosquitto=$!
        wait_for() { for i in $(seq 200); do ! "$@" || return 0; sleep 0.1; done
                     cat "$TREE/sluice.log" "$TREE/var/log/mosquitto/mosquitto.log"; exit 1; }
        wait_for grep -q ' broker-connected: .*MQTT 5, new session' "$TREE/sluice.log"
        mosquitto_pub -h 127.0.0.1 -u device -P "$(cat "$TREE/etc/sluice/device_password")" \\
                      -t garden/wino-1/sensor -m '{"soil": 512}'
        queue() { chroot "$TREE" runuser -u reader -- sqlite3 -readonly /var/lib/sluice/queue.db "$@"; }
        stored() { queue 'select topic, payload from pending' | grep -F 'garden/wino-1/sensor|{"soil": 512}'; }
        wait_for stored
        if mosquitto_pub -h 127.0.0.1 -t garden/wino-1/sensor -m '{}'; then
            echo "Mosquitto took a reading without a password"; exit 1
        fi
        kill -TERM $sluice; wait $sluice
        queue 'select count(*) from message'
        kill -TERM $mosquitto; wait $mosquitto
        chroot "$TREE" stat -c '%a %U:%G' /var/lib/sluice/queue.db
        """,
        network=False, inside=False,
    )  # fmt: skip
    assert output.splitlines()[-2:] == ["1", "640 sluice:sluice"], output


def test_upgrade_keeps_queue_passwords_and_changed_files(installed):
    changed = {}
    for path in ("etc/sluice/sluice.conf", "etc/mosquitto/conf.d/sluice.conf"):
        with (installed / path).open("a") as file:
            file.write("\n# a comment of the owner\n")
        changed[path] = (installed / path).read_bytes()
    for path in ("etc/sluice/broker_password", "etc/sluice/device_password", "etc/mosquitto/sluice.passwd"):
        changed[path] = (installed / path).read_bytes()
    (installed / "usr/local/bin/sluice").write_text("an older one")
    output = installed.install()
    assert {path: (installed / path).read_bytes() for path in changed} == changed
    assert "kept: /etc/mosquitto/conf.d/sluice.conf (changed here" in output
    assert "What is left to do" not in output and "sudo sluice status" in output
    assert installed.run("sluice --version").strip() == "sluice 0.1.0"
    assert installed.run("sqlite3 -readonly /var/lib/sluice/queue.db 'select count(*) from message'") == "1\n"


def test_an_unchanged_setting_is_upgraded(installed):
    acl = installed / "etc/mosquitto/sluice.acl"
    written = installed / "etc/sluice/written/sluice.acl"
    for path in (acl, written):
        path.write_text("# as an older sluice shipped it\n")
    installed.install()
    assert acl.read_text() == (REPO / "config/mosquitto-sluice.acl").read_text() == written.read_text()


def test_uninstall_keeps_queue_and_configuration(installed):
    output = installed.install("--uninstall")
    kept = re.search(r"kept:\n((?:  .*\n)+)To remove these, too: sudo \S+ --uninstall --purge\n", output).group(1)
    assert kept.split("\n") == ["  /etc/sluice", "  /var/lib/sluice", "  /etc/mosquitto/conf.d/sluice.conf",
                                "  /etc/mosquitto/sluice.acl", "  /etc/mosquitto/sluice.passwd", "  the user sluice", ""]  # fmt: skip
    assert "kept: /etc/mosquitto/conf.d/sluice.conf (changed here)" in output
    assert FILES & files_below(installed / "usr/local") == set()
    for directory in ("share/sluice", "share/doc/sluice"):
        assert not (installed / "usr/local" / directory).exists()
    for path in ("etc/sluice/sluice.conf", "var/lib/sluice/queue.db", "etc/mosquitto/sluice.acl"):
        assert (installed / path).exists()


def test_purge_leaves_nothing(installed):
    """Except a directory in which a disk is mounted. Nothing is said of the group, which goes, too."""
    output = installed.run(f"mount -t tmpfs none /var/lib/sluice; cd /{SOURCE}; ./scripts/install --uninstall --purge")
    assert "kept: /var/lib/sluice, which is empty now" in output and "userdel" not in output
    shutil.rmtree(installed / "var/lib/sluice")  # what the mount hid
    left = installed.run(
        "ls -d /etc/sluice /var/lib/sluice /etc/mosquitto/sluice.* /etc/mosquitto/conf.d/sluice* 2>/dev/null || true;"
        "getent passwd sluice || getent group sluice || true"
    )
    assert left == ""


def test_settings_of_a_broker_in_use_are_left_alone(installed):
    own = installed / "etc/mosquitto/conf.d/home.conf"
    own.write_text("listener 1883\npassword_file /etc/mosquitto/home.passwd\n")
    output = installed.install()
    assert "/etc/mosquitto/conf.d/home.conf:1:listener 1883" in output
    assert "queue_qos0_messages false: messages of QoS 0 are lost" in output
    assert "max_queued_messages 1000: Mosquitto drops" in output
    assert "persistence" not in output and "Devices connect" not in output
    own.write_text("listener 1883\npersistence 1\nqueue_qos0_messages 1\nupgrade_outgoing_qos 0\n")
    installed.install("--uninstall")
    output = installed.install()
    assert "persistence" not in output and "queue_qos0_messages" not in output
    assert "upgrade_outgoing_qos 0: sluice gets messages" in output
    assert not (installed / "etc/mosquitto/conf.d/sluice.conf").exists()
    assert "\nusername" not in (installed / "etc/sluice/sluice.conf").read_text()


# -- what the script says of the broker is so


@pytest.fixture
def install_again(installed):
    """install_again(before): a first installation into the tree, after these commands, without network;
    returns what it says."""

    def install(before=""):
        return installed.run(
            f"""
            cd /{SOURCE}
            rm -f /etc/mosquitto/conf.d/home.conf
            ./scripts/install --uninstall --purge >/dev/null
            {before}
            ./scripts/install
            """,
            network=False,
        )  # fmt: skip

    return install


# No systemd runs in the tree. This systemctl enables and disables for real, and does the rest as a
# systemd with one service would: /run/active says whether Mosquitto runs.
SYSTEMCTL = r"""#!/bin/sh
real=/usr/bin/systemctl
case " $* " in
    *" enable "* | *" disable "* | *" is-enabled "*) SYSTEMD_OFFLINE=1 exec $real "$@" ;;
    *" is-active "*) [ -e /run/active ] ;;
    *" restart mosquitto"*) touch /run/active; echo restart >>/run/restarted ;;
esac
"""


@pytest.fixture
def systemd(installed):
    shim = installed / "usr/local/sbin/systemctl"
    shim.write_text(SYSTEMCTL)
    shim.chmod(0o755)
    (installed / "run/systemd/system").mkdir(parents=True)
    yield
    shutil.rmtree(installed / "run/systemd")
    for name in ("active", "restarted"):
        (installed / "run" / name).unlink(missing_ok=True)
    shim.unlink()


IS_ACTIVE = "systemctl is-active mosquitto && echo active || echo inactive"


def test_a_broker_that_was_disabled_on_purpose_stays_so(installed, systemd, install_again):
    output = install_again("systemctl --quiet disable mosquitto")
    assert installed.run("systemctl is-enabled mosquitto || true") == "disabled\n"
    assert installed.run(IS_ACTIVE) == "inactive\n"
    assert "Mosquitto is stopped, and stays so" in output
    assert "No broker answers at port 1883 now" in output and "systemctl enable --now mosquitto" in output
    assert "Devices connect" not in output


def test_a_broker_that_runs_gets_the_new_settings(installed, systemd, install_again):
    """Disabled, and started by a person: it goes on."""
    output = install_again("systemctl --quiet disable mosquitto; touch /run/active")
    assert installed.run("systemctl is-enabled mosquitto || true") == "disabled\n"
    assert (installed / "run/restarted").exists() and "stays so" not in output


def test_a_broker_that_the_demo_disabled_is_enabled(installed, systemd, install_again):
    install_again("systemctl --quiet disable mosquitto; touch /etc/sluice-demo-disabled.mosquitto")
    assert installed.run("systemctl is-enabled mosquitto") == "enabled\n"
    assert installed.run(IS_ACTIVE) == "active\n"
    assert not (installed / "etc/sluice-demo-disabled.mosquitto").exists()


@pytest.mark.parametrize("saved", [False, True])
def test_the_plugin_of_a_newer_mosquitto_is_used(install_again, installed, saved):
    """Unless an earlier one has saved messages, which the plugin cannot read. (This Mosquitto has none: the file
    stands for it.)"""
    plugin, database = (installed / path for path in ("usr/lib/x86_64-linux-gnu/mosquitto/mosquitto_persist_sqlite.so", "var/lib/mosquitto/mosquitto.db"))
    plugin.parent.mkdir()
    plugin.touch()
    kept = database.read_bytes() if database.exists() else None
    database.unlink(missing_ok=True)
    if saved:
        database.touch()
    try:
        output = install_again()
        settings = (installed / "etc/mosquitto/conf.d/sluice.conf").read_text()
        assert ("\npersistence false\nplugin /usr/lib/x86_64-linux-gnu/mosquitto/" in settings) is not saved
        assert ("\nplugin_opt_sync full\nplugin_opt_flush_period 0\n" in settings) is not saved
        assert ("\npersistence true\nautosave_interval 60\n" in settings) is saved
        assert "lose messages" not in output
        if not saved:  # and it stays so, also when the plugin's Mosquitto has run
            database.touch()
            assert "kept: /etc/mosquitto" not in installed.install()
            assert (installed / "etc/mosquitto/conf.d/sluice.conf").read_text() == settings
    finally:
        shutil.rmtree(plugin.parent)
        database.unlink(missing_ok=True)
        if kept is not None:
            database.write_bytes(kept)


def test_a_missing_include_dir_is_reported(install_again):
    output = install_again("sed -i.bak /^include_dir/d /etc/mosquitto/mosquitto.conf")
    assert "Mosquitto does not read /etc/mosquitto/conf.d/sluice.conf: add this line" in output
    assert "Devices connect" not in output
    output = install_again("mv /etc/mosquitto/mosquitto.conf.bak /etc/mosquitto/mosquitto.conf")
    assert "does not read" not in output


@pytest.mark.parametrize("spelling", ["/etc/mosquitto/conf.d/", "/etc//mosquitto/conf.d", "/etc/mosquitto/../mosquitto/conf.d"])
def test_an_include_dir_with_another_spelling_is_read(install_again, spelling):
    output = install_again(f"sed -i.bak 's#^include_dir.*#include_dir {spelling}#' /etc/mosquitto/mosquitto.conf")
    try:
        assert "does not read" not in output
    finally:
        install_again("mv /etc/mosquitto/mosquitto.conf.bak /etc/mosquitto/mosquitto.conf")


LISTEN = "for i in $(seq 600); do ! (: <>/dev/tcp/127.0.0.1/1883) 2>/dev/null || break; sleep 0.1; done"


@pytest.mark.parametrize("users, words", [
    ("allow_anonymous false\\npassword_file /tmp/other.passwd", "A broker answers at port 1883 that is not this Mosquitto"),
    ("allow_anonymous true", "Devices connect to port 1883 as the user 'device'"),
])  # fmt: skip
def test_the_port_is_tried(install_again, users, words):
    """A broker with other users, as a container would be; and one that takes our user. (Without
    systemd, the script cannot see whose it is.)"""
    output = install_again(
        f"""printf 'a:b\\n' >/tmp/other.passwd; mosquitto_passwd -U /tmp/other.passwd; chmod 644 /tmp/other.passwd
        printf 'listener 1883\\n{users}\\n' >/tmp/other.conf
        mosquitto -c /tmp/other.conf >/dev/null 2>&1 &
        {LISTEN}"""
    )
    assert words in output


# -- whose build it is


def test_a_user_builds_after_root_has_installed(installed):
    """Both use one build, which belongs to the owner of the source."""
    installed.run(f"""useradd --create-home pi; useradd other; chmod 755 /home/pi
                  cp -a /{SOURCE} /home/pi/sluice; rm -rf /home/pi/sluice/build; chown -R pi: /home/pi/sluice
                  mkdir /home/pi/sluice/build; touch /home/pi/sluice/build/.lock""")  # fmt: skip
    installed.run("cd /home/pi/sluice && ./scripts/install")
    assert installed.run("find /home/pi/sluice/build -user root ! -name install_manifest.txt") == ""
    output = installed.run("runuser -u pi -- sh -c 'cd /home/pi/sluice && HOME=/home/pi ./scripts/run --seconds 1'")
    assert re.search(r"(\d+) readings published, \1 arrived, 0 missing", output)
    output = installed.run("runuser -u other -- sh -c 'cd /home/pi/sluice && ./scripts/run --seconds 1'", status=1)
    assert "/home/pi/sluice/build cannot be written: build as pi, or in a copy" in output


# -- the Debian package


@pytest.fixture(scope="module")
def package(installed):
    """The package, in a tree that has neither sluice nor Mosquitto."""
    installed.install("--uninstall --purge")
    installed.run("""rm -f /etc/mosquitto/conf.d/home.conf
                  DEBIAN_FRONTEND=noninteractive apt-get -qq purge mosquitto""")
    output = installed.run(f"cd /{SOURCE} && ./scripts/package")
    assert re.search(rf"built: /{SOURCE}/build/packages/sluice_0.1.0_\w+.deb", output)
    return f"/{SOURCE}/build/packages/sluice_0.1.0_*.deb"


def apt(tree, arguments, network=True):
    return tree.run(f"DEBIAN_FRONTEND=noninteractive apt-get -qq --no-install-recommends {arguments} 2>&1", network=network)


def test_a_package_is_installed_before_and_after_mosquitto(installed, package):
    output = apt(installed, f"install {package}")
    assert "systemctl start sluice" in output
    assert installed.facts("/etc/sluice/sluice.conf") == "640 root:sluice"
    assert installed.facts("/var/lib/sluice") == "2750 sluice:sluice"
    assert not (installed / "etc/mosquitto").exists()
    assert installed.run("systemctl is-enabled sluice") == "enabled\n"
    installed.run("systemd-analyze verify sluice.service")
    apt(installed, "install mosquitto")
    assert installed.facts("/etc/mosquitto/sluice.passwd") == "600 mosquitto:mosquitto"
    assert installed.facts("/etc/sluice/broker_password") == "640 root:sluice"
    installed.run("sed -i s/garden.example.org/garden.home.arpa/ /etc/sluice/sluice.conf")
    assert ": ok: 1 backend, 1 route" in installed.run("runuser -u sluice -- sluice check")
    assert "\nusername = sluice\n" in (installed / "etc/sluice/sluice.conf").read_text()


def test_a_package_and_the_script_exclude_each_other(installed, package):
    """They have one queue, one unit and one user."""
    (installed / "var/lib/sluice/queue.db").write_text("the queue")
    for arguments in ("", "--uninstall", "--uninstall --purge"):
        output = installed.run(f"cd /{SOURCE} && ./scripts/install {arguments}", status=1)
        assert "apt remove sluice keeps the queue" in output
    apt(installed, "remove sluice", network=False)
    installed.install()
    output = installed.run(f"dpkg -i {package} 2>&1", status=1)
    assert "sudo scripts/install --uninstall" in output and installed.run("sluice --version") == "sluice 0.1.0\n"
    installed.run("dpkg --purge sluice 2>&1")  # what was left of the package
    assert (installed / "var/lib/sluice/queue.db").read_text() == "the queue"
    installed.install("--uninstall")
    (installed / "var/lib/sluice/queue.db").unlink()
    apt(installed, f"install {package}", network=False)


def test_mosquitto_that_is_configured_after_sluice_gets_its_settings(installed, package):
    """One call of dpkg: sluice has its turn first."""
    installed.run(f"""apt-get -qq download mosquitto; dpkg --purge sluice mosquitto
                  rm -rf /etc/mosquitto; dpkg --unpack {package} ./mosquitto_*.deb
                  dpkg --configure sluice mosquitto; rm ./mosquitto_*.deb""")  # fmt: skip
    assert installed.facts("/etc/mosquitto/sluice.passwd") == "600 mosquitto:mosquitto"
    assert "\nusername = sluice\n" in (installed / "etc/sluice/sluice.conf").read_text()


def test_a_configuration_that_was_deleted_is_not_made_again(installed, package):
    conf = installed / "etc/sluice/sluice.conf"
    text = conf.read_text()
    conf.unlink()
    output = apt(installed, f"install --reinstall {package}", network=False)
    assert not conf.exists() and "kept: no /etc/sluice/sluice.conf (deleted here" in output
    conf.write_text(text)


def test_an_upgrade_of_the_package_keeps_what_a_person_changed(installed, package):
    drop_in, acl = installed / "etc/mosquitto/conf.d/sluice.conf", installed / "etc/mosquitto/sluice.acl"
    drop_in.write_text(drop_in.read_text() + "# mine\n")
    for path in (acl, installed / "etc/sluice/written/sluice.acl"):
        path.write_text("# as an older sluice shipped it\n")
    (installed / "var/lib/sluice/queue.db").write_text("the queue")
    kept = {path: path.read_bytes() for path in (drop_in, installed / "etc/sluice/sluice.conf",
                                                 installed / "var/lib/sluice/queue.db",
                                                 installed / "etc/mosquitto/sluice.passwd")}  # fmt: skip
    output = apt(installed, f"install --reinstall {package}", network=False)
    assert "kept: /etc/mosquitto/conf.d/sluice.conf (changed here" in output and "What is left to do" not in output
    assert {path: path.read_bytes() for path in kept} == kept
    assert acl.read_text() == (REPO / "config/mosquitto-sluice.acl").read_text()


def test_a_package_that_is_removed_keeps_the_queue_and_purged_leaves_nothing(installed, package):
    output = apt(installed, "remove sluice", network=False)
    assert "kept: /etc/mosquitto/conf.d/sluice.conf (changed here)" in output
    for path in ("etc/sluice/sluice.conf", "var/lib/sluice/queue.db", "etc/mosquitto/conf.d/sluice.conf"):
        assert (installed / path).exists()
    (installed / "etc/mosquitto/conf.d/sluice.conf").unlink()
    (installed / "etc/sluice/written/sluice.conf").unlink()
    apt(installed, f"install {package}", network=False)
    assert (installed / "etc/mosquitto/conf.d/sluice.conf").exists()
    apt(installed, "remove sluice", network=False)
    assert not (installed / "etc/mosquitto/conf.d/sluice.conf").exists()  # nobody changed this one
    (installed / "etc/mosquitto/conf.d/sluice.conf").write_text("# a person's own\n")
    output = apt(installed, "purge sluice", network=False)
    assert "kept: /etc/mosquitto/conf.d/sluice.conf (sluice did not write it)" in output
    (installed / "etc/mosquitto/conf.d/sluice.conf").unlink()
    left = installed.run("find / -xdev -path /root -prune -o -path '*sluice*' -print | grep -v -e ^/home -e ^/var/cache/man -e ^/sluice.log || true")
    assert left == ""


def test_root_option_installs_into_an_image(tmp_path):
    run([REPO / "scripts/install", "--root", "image"], cwd=tmp_path)
    prefix = tmp_path / "image/usr/local"
    assert stat.S_IMODE((prefix / "bin/sluice").stat().st_mode) == 0o755
    assert run([prefix / "bin/sluice", "--version"]) == "sluice 0.1.0\n"
    assert (tmp_path / "image/etc/sluice/sluice.conf").is_file()
    assert files_below(prefix) == FILES | {"share/sluice/installed-files"}
    run([REPO / "scripts/install", "--root", "image", "--uninstall", "--purge"], cwd=tmp_path)
    assert files_below(tmp_path / "image") == set()


def test_a_package_can_be_made_with_cmake_alone(tmp_path):
    """Another prefix and DESTDIR: every file, and the unit names the program there."""
    build, package = tmp_path / "build", tmp_path / "package"
    run(["cmake", "-G", "Ninja", "-S", REPO, "-B", build, "-DCMAKE_INSTALL_PREFIX=/usr", "-DBUILD_TESTING=OFF"])
    shutil.copy(binary(), build / "sluice")  # it is built already; --install does not build
    run(["cmake", "--install", build], env={**os.environ, "DESTDIR": str(package)})
    assert files_below(package) == {f"usr/{path}" for path in FILES}
    unit = (package / "usr/lib/systemd/system/sluice.service").read_text()
    assert "\nExecStart=/usr/bin/sluice run\n" in unit and "file:/usr/share/doc/sluice/README.md" in unit
