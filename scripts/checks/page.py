"""Looks at the daemon's page in a real browser, with a hostile producer at work.

usage: page.py PROGRAM...

PROGRAM are the built programs: the daemon and the fake are found among them by name. Chromium and its driver
are found in PATH.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from world import World, ask, wait_for

HOSTILE = """<script>document.title='taken'</script><img src=x onerror="document.title='taken'">'&\""""
AXE = Path(".tools/models/node_modules/axe-core/axe.min.js")
expectations = 0


def expect(holds, what):
    global expectations
    expectations += 1
    if not holds:
        sys.exit(f"page.py: {what}")


def browser():
    options = Options()
    # As root, which has no sandbox to go into; nothing but loopback is asked.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--disable-background-networking", "--disable-component-update", "--no-first-run"):
        options.add_argument(argument)
    options.binary_location = next(
        path for path in ("/usr/bin/chromium", "/usr/bin/google-chrome") if os.path.exists(path))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def send(world, *arguments, body=None):
    command = [world.programs["mimecast-eventd"], "send", *arguments]
    subprocess.run(command, env=world.environment(), input=body, text=True, check=True, capture_output=True)


def work(world):
    """What a day brings: effects, dead letters of both kinds, and an id that somebody wrote to do harm."""
    ask(f"{world.fake}/_fake/groups", {"id": "id-of-staff", "name": "Staff"})
    for number in range(12):
        member = f"leaver-{number}@example.com"
        ask(f"{world.fake}/_fake/members", {"group": "id-of-staff", "member": member})
        send(world, "--type", "user.offboarded", "--email", member, "--group", "Staff", "--id", f"hr-{number}")
    send(world, "--type", "user.offboarded", "--email", "ada@example.com", "--group", "Nobody's", "--id", "hr-typo")
    send(world, "--type", "url.unblock", "--entry-id", "entry-1", "--id", HOSTILE)
    wait_for("everything is settled", lambda: world.log.read_text().count('"message":"settled"') >= 14)


def requests(driver):
    """Where the browser asked for anything."""
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]


def agrees_with_metrics(driver, metrics):
    series = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    seen = 0
    for name, value in series.items():
        found = re.fullmatch(r'eventd_messages_dead_lettered_total\{event="(.+)",reason="(.+)"\}', name)
        shown = driver.find_elements(By.XPATH, f"//td[.='{found[1]} {found[2]}']/following-sibling::td") if found else []
        if found and float(value) > 0:
            expect(len(shown) == 1 and shown[0].text == value, f"{name} is {value}, the page shows {shown}")
            seen += 1
        elif found:
            expect(not shown, f"{name} is 0, and the page shows it")
        queue = re.fullmatch(r'eventd_queue_messages\{queue="(.+)"\}', name)
        if queue:
            depth = driver.find_element(By.XPATH, f"//td[.='{queue[1]}']/following-sibling::td[2]")
            wanted = "not known" if value == "NaN" else value
            expect(depth.text == wanted, f"{name} is {value}, the page shows {depth.text}")
            seen += 1
    expect(seen > 10, f"only {seen} numbers were compared")


def is_accessible(driver, how):
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    result = driver.execute_async_script("axe.run().then(arguments[0])")
    grave = [(one["id"], one["nodes"][0]["html"][:200]) for one in result["violations"]
             if one["impact"] in ("serious", "critical", "moderate")]
    expect(len(result["passes"]) > 10, "the accessibility checker found little to check")
    expect(not grave, f"{how}: not accessible: {grave}")


def outage(driver, world):
    """The page at the moment of an outage, and after it."""
    shown = lambda: driver.find_element(By.TAG_NAME, "main").text
    ask(f"{world.fake}/_fake/faults", {"times": "always", "kind": {"type": "empty_body", "status": 503}})
    send(world, "--type", "url.unblock", "--entry-id", "entry-3", "--id", "in-an-outage")
    wait_for("the page shows the outage", lambda: "url.unblock: paused" in shown() and "http_503" in shown())
    expect("user.offboarded: consuming" in shown() and "not ready" in shown(), "one lane pauses, and that is told")
    is_accessible(driver, "an outage")
    urllib.request.urlopen(urllib.request.Request(f"{world.fake}/_fake/faults", method="DELETE"))
    wait_for("the page shows that it is over",
             lambda: "url.unblock: consuming" in shown() and "in-an-outage" in shown())


def look(driver, world):
    url = world.admin() + "/"
    driver.set_window_size(1280, 1000)
    driver.get(url)
    expect("ready" in driver.title and "taken" not in driver.title, f"the title is {driver.title}")
    expect(driver.find_elements(By.XPATH, "//article[@aria-label='user.offboarded']"), "a lane is not shown")
    cells = [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, "td")]
    expect(HOSTILE in cells, "the hostile id is not text")
    expect(not driver.find_elements(By.CSS_SELECTOR, "img"), "the hostile id has made an element")
    expect("ada@example.com" not in driver.page_source, "an address is shown")
    agrees_with_metrics(driver, ask(world.admin() + "/metrics"))
    for scheme in ("light", "dark"):
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        is_accessible(driver, scheme)
    # It is renewed under the reader's eyes, and not by a reload.
    driver.execute_script("window.mark = 'here'")
    send(world, "--type", "url.unblock", "--entry-id", "entry-2", "--id", "seen-later")
    wait_for("the page shows what came later", lambda: "seen-later" in driver.find_element(By.TAG_NAME, "main").text)
    expect(driver.execute_script("return window.mark") == "here", "the page was loaded anew")
    outage(driver, world)
    # On a phone.
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(url)
    width = driver.execute_script("return document.documentElement.scrollWidth")
    expect(width <= 360, f"at 360 pixels it is {width} wide")
    is_accessible(driver, "a phone")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # Without scripts it says the same.
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.get(url)
    expect("user.offboarded: consuming" in driver.find_element(By.TAG_NAME, "main").text, "nothing without scripts")
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    driver.get(url)
    elsewhere = {one for one in requests(driver) if not one.startswith((url, "data:", "chrome"))}
    expect(not elsewhere, f"the page asks {elsewhere}")
    # Browsers look for an icon by themselves, and there is none.
    errors = [entry for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
    expect(not errors, f"the console says {errors}")
    world.daemon.terminate()
    wait_for("the page says that nobody answers", lambda: driver.find_element(By.ID, "away").is_displayed())


def main(folder):
    with World(sys.argv[1:], folder) as world:
        work(world)
        wait_for("the queues were looked at", lambda: "eventd_queue_messages{queue=\"mimecast-eventd.dead-letter\"} 1"
                 in ask(world.admin() + "/metrics"))
        driver = browser()
        try:
            look(driver, world)
        finally:
            driver.quit()
    print(f"    the page in a browser: {expectations} expectations hold")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(name)
