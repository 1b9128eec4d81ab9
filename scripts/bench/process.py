"""A program under measurement, and what it used of the machine."""

import os
import subprocess
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A program that runs until it is stopped. What it says goes into the file `log`."""

    def __init__(self, command, log, variables):
        self.log = Path(log)
        with self.log.open("w") as output:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, **variables})
        self.proc = Path(f"/proc/{self.child.pid}")

    def ended(self):
        """Whether it has ended by itself, which none of them does unless something is wrong."""
        return self.child.poll() is not None

    def cpu(self):
        """Seconds of all its threads so far, those that are gone too: for itself, and in the kernel."""
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) / TICKS, int(fields[12]) / TICKS

    def resident(self, which="VmRSS"):
        """MiB in memory: now, or at most so far (`VmHWM`)."""
        line = next(line for line in (self.proc / "status").read_text().splitlines() if line.startswith(which))
        return int(line.split()[1]) / 1024

    def switches(self):
        """How often its threads gave the processor up so far."""
        count = 0
        for status in self.proc.glob("task/*/status"):
            lines = status.read_text().splitlines()
            count += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
        return count

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
