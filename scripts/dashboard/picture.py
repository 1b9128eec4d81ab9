"""Draws the dashboard of a run."""

import json
import shutil
import subprocess
import time
from pathlib import Path

from dashboard import PATH, filled
from drawing import WIDTH, Drawing
from page import browser
from prometheus import Prometheus

NOTE = ("Drawn from the dashboard's own queries and a run of two daemons against the fake API, scraped every second, "
        "with rates over ten seconds. Grafana draws it in its own style.")
RUN = 240  # seconds
# What is chosen, and how long the times are that Grafana knows.
VALUES = {"__rate_interval": "10s", "__range": f"{RUN}s", "namespace": ".*", "job": "mimecast-eventd", "instance": ".*"}


def draw(world, story, picture):
    """Two daemons live through the story while Prometheus looks on."""
    story.by_hand("resume", "url.unblock")
    daemon, admin, variables = world.another_daemon("second", EVENTD_AUDIT__PATH=str(world.folder / "second.audit"))
    story.daemons.append((daemon, variables))
    targets = [url.removeprefix("http://") for url in (world.admin(), admin)]
    labels = {"namespace": "identity"}
    with Prometheus(shutil.which("prometheus"), world.folder, VALUES["job"], labels, targets) as prometheus:
        begin = time.time() + 2
        story.tell(RUN)
        drawing = Drawing(prometheus, lambda query: filled(query, VALUES), begin, begin + RUN, 1)
        page = drawing.page(json.loads(Path(PATH).read_text(encoding="utf-8")), NOTE)
    if drawing.empty:
        raise SystemExit(f"check.py: no data for {drawing.empty}")
    file = world.folder / "dashboard.html"
    file.write_text(page, encoding="utf-8")
    photograph(file, picture)
    print(f"    {picture}: {picture.stat().st_size} bytes")


def photograph(file, picture):
    driver = browser()
    try:
        driver.set_window_size(WIDTH, 1000)
        driver.get(f"file://{file}")
        height = driver.execute_script("return document.body.offsetHeight")
        driver.set_window_size(WIDTH, height + driver.execute_script("return outerHeight - innerHeight"))
        driver.save_screenshot(str(picture))
    finally:
        driver.quit()
    # Few colours make a small file.
    subprocess.run(["pngquant", "--force", "--speed", "1", "--nofs", "--output", picture, "64", picture], check=True)
