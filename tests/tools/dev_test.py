#!/usr/bin/env python3
# ./dev on other machines: missing commands, no rights, another system. Stubs replace dpkg-query, apt-get, id and sudo,
# so that nothing is installed.
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PLAIN_TOOLS = ["bash", "env", "grep", "sort", "awk", "tr", "dirname", "readlink", "cat", "head", "find", "rm", "chmod",
               "nproc", "printf", "true", "mkdir"]


class Machine(unittest.TestCase):
    """A folder of commands that is all of PATH, and a copy of ./dev in an otherwise empty tree."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="coax-dev-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.commands = self.root / "bin"
        self.commands.mkdir()
        for tool in PLAIN_TOOLS:
            (self.commands / tool).symlink_to(shutil.which(tool))
        shutil.copy(ROOT / "dev", self.root / "dev")
        self.policy = self.root / "policy-rc.d"
        self.log = self.root / "log"
        self.system("debian", "12")
        self.stub("id", "echo 1000")
        self.stub("dpkg-query", "cat $MACHINE/installed 2>/dev/null")

    def system(self, name: str, version: str) -> None:
        (self.root / "os-release").write_text(f'ID={name}\nVERSION_ID="{version}"\n')

    def stub(self, name: str, script: str) -> None:
        (self.commands / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
        (self.commands / name).chmod(0o755)

    def stub_apt(self) -> None:
        """Pretends to install: each package is from then on there, with its commands."""
        self.stub("id", "echo 0")
        self.stub("apt-get", """
            echo "$*" >>$MACHINE/log
            [[ $* == *update* ]] && exit 0
            [[ -x $DEV_POLICY_RC_D ]] && { "$DEV_POLICY_RC_D"; echo "policy $?" >>$MACHINE/log; }
            for package in "$@"; do echo "installed $package" >>$MACHINE/installed; done
            for tool in clang++-19 ld.lld-19 cmake ninja ccache pkg-config; do
              printf '#!/bin/sh\\nexit 0\\n' >$MACHINE/bin/$tool; chmod 755 $MACHINE/bin/$tool
            done""")

    def dev(self, *arguments: str) -> subprocess.CompletedProcess:
        environment = {"PATH": str(self.commands), "MACHINE": str(self.root), "DEV_POLICY_RC_D": str(self.policy),
                       "DEV_OS_RELEASE": str(self.root / "os-release"), "DEV_APT_LISTS": str(self.root / "lists")}
        return subprocess.run([self.root / "dev", *arguments], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)


class Verbs(Machine):
    def test_help_names_every_verb_without_colour(self) -> None:
        for arguments in [["help"], ["--help"], []]:
            run = self.dev(*arguments)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            for verb in ["run", "build", "test", "lint", "bench", "docs", "help"]:
                self.assertIn(f"\n  {verb} ", run.stdout)
            self.assertNotIn("\x1b", run.stdout)

    def test_an_unknown_verb_is_an_error_of_its_own(self) -> None:
        run = self.dev("biuld")
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertIn("there is no verb 'biuld'; ./dev help", run.stderr)

    def test_an_unknown_preset_is_told_before_anything_is_installed(self) -> None:
        run = self.dev("build", "fast")
        self.assertEqual(run.returncode, 1)
        self.assertIn("there is no preset fast", run.stderr)


    def test_docs_takes_no_argument(self) -> None:
        run = self.dev("docs", "html")
        self.assertEqual(run.returncode, 1)
        self.assertIn("docs takes no argument, not html", run.stderr)


class Packages(Machine):
    def test_docs_names_what_it_needs(self) -> None:
        run = self.dev("docs")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stdout, "doxygen +makes the API reference")
        self.assertRegex(run.stdout, "graphviz +draws the picture")
        self.assertNotIn("clang", run.stdout)

    def test_without_rights_it_prints_the_line_and_stops(self) -> None:
        run = self.dev("build")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stdout, "clang-19 +the compiler")
        self.assertRegex(run.stderr, "As root, run:\n  apt-get install -y --no-install-recommends .*clang-19")

    def test_with_a_sudo_that_cannot_ask_it_prints_the_line_and_stops(self) -> None:
        self.stub("sudo", "exit 1")
        run = self.dev("build")
        self.assertEqual(run.returncode, 1)
        self.assertIn("there is no terminal. As root, run:\n  apt-get install", run.stderr)

    def test_it_installs_what_is_missing_and_starts_no_daemon(self) -> None:
        self.stub_apt()
        run = self.dev("build")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        log = self.log.read_text()
        self.assertRegex(log, "^.* update .*\n.* install .* libboost1.81-dev.*\npolicy 101\n$")
        self.assertNotIn("chromium", log)
        self.assertFalse(self.policy.exists())

    def test_it_updates_no_lists_that_are_fresh(self) -> None:
        self.stub_apt()
        (self.root / "lists").mkdir()
        (self.root / "lists" / "debian_Packages").touch()
        self.assertEqual(self.dev("build").returncode, 0)
        self.assertNotIn("update", self.log.read_text())

    def test_it_leaves_a_policy_of_the_machine_alone(self) -> None:
        self.stub_apt()
        self.policy.write_text("#!/bin/sh\nexit 42\n")
        self.policy.chmod(0o755)
        self.assertEqual(self.dev("build").returncode, 0)
        self.assertIn("policy 42", self.log.read_text())
        self.assertEqual(self.policy.read_text(), "#!/bin/sh\nexit 42\n")

    def test_when_all_is_there_it_installs_nothing(self) -> None:
        self.stub_apt()
        self.dev("build")
        self.log.unlink()
        self.stub("id", "echo 1000")
        run = self.dev("build")
        self.assertEqual((run.returncode, self.log.exists()), (0, False))

    def test_when_apt_fails_it_says_so_and_cleans_up(self) -> None:
        self.stub_apt()
        self.stub("apt-get", "exit 100")
        run = self.dev("build")
        self.assertEqual(run.returncode, 1)
        self.assertIn("the installation failed", run.stderr)
        self.assertFalse(self.policy.exists())


class OtherSystems(Machine):
    def test_it_lists_what_is_needed_on_a_system_that_it_does_not_know(self) -> None:
        self.system("fedora", "41")
        run = self.dev("build")
        self.assertEqual(run.returncode, 1)
        self.assertIn("this system (fedora 41) is not Debian 12", run.stderr)
        self.assertIn("clang-19", run.stderr)
        self.assertIn("libssl-dev", run.stderr)

    def test_it_goes_on_when_the_commands_are_there(self) -> None:
        self.system("debian", "13")
        for tool in ["clang++-19", "ld.lld-19", "cmake", "ninja", "ccache", "pkg-config"]:
            self.stub(tool, "exit 0")
        self.assertEqual(self.dev("build").returncode, 0)


if __name__ == "__main__":
    unittest.main()
