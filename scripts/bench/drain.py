"""How fast a queue is drained, and what that costs."""

import json
import time
from dataclasses import dataclass

from world import ask, wait_for


@dataclass
class Drain:
    """What one run came to."""

    rate: float  # messages a second
    cpu: float  # microseconds a message, the start included
    kernel: float  # of these, in the kernel
    peak: float  # MiB
    switches: float  # of threads, a message


def drain(rig, name, messages, prefetch, groups=1, latency_ms=0, skip=1, backlog=0):
    """Drains so many messages with the program `name`, and leaves the `backlog` behind them. The rate is from
    the call `skip` to the last one."""
    rig.fill(messages + backlog, groups)
    rig.measure(latency_ms)
    process, calls = rig.run(name, prefetch), messages * groups
    rig.wait_for_calls(process, calls)
    (own, kernel), switches, peak = process.cpu(), process.switches(), process.resident("VmHWM")
    if not backlog:
        # What is not acked would come again as soon as the program is gone.
        wait_for("all is acked", lambda: is_idle(process))
    process.stop()
    came = json.loads(ask(f"{rig.fake}/_fake/load/arrivals"))["arrivals_microseconds"]
    if not backlog:
        left = rig.depth()
        assert left == 0 and len(came) == calls, f"{name} made {len(came)} calls and left {left} messages"
    rate = (calls - 1 - skip) / groups / ((came[calls - 1] - came[skip]) / 1e6)
    micros = 1e6 / messages
    return Drain(rate, (own + kernel) * micros, kernel * micros, peak, switches / messages)


def is_idle(process):
    """Whether it does nothing any more."""
    before = sum(process.cpu())
    time.sleep(0.2)
    return sum(process.cpu()) - before < 0.02
