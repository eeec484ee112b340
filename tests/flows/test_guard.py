"""A killed run leaves no process behind."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

RUN = """
import subprocess, sys, time
from longderm.flows.guard import guarded
if __name__ == "__main__":
    with guarded("mark-of-this-test"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
        print(child.pid, flush=True)
        if len(sys.argv) > 1:
            child.kill()
            child.wait()
        else:
            time.sleep(120)
"""


def ended(pid: int, within_s: float = 30.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_the_children_of_a_killed_run_are_ended():
    run = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True)
    child = int(run.stdout.readline())
    assert psutil.pid_exists(child)
    run.kill()
    run.wait()
    assert ended(child)


def test_a_run_that_ends_by_itself_ends_its_guard():
    run = subprocess.run([sys.executable, "-c", RUN, "stop"], stdout=subprocess.PIPE, text=True, timeout=60)
    assert run.returncode == 0
    guards = [p for p in psutil.process_iter(["cmdline"]) if "mark-of-this-test" in (p.info["cmdline"] or [])]
    assert guards == []
