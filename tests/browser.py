"""Opens pages in a headless Chromium, where there is one, and keeps what they log and what they ask for."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

MISSING = "needs selenium, Chromium and its driver (Debian: apt-get install chromium chromium-driver)"


@contextlib.contextmanager
def start():
    """Yields a browser; skips where this machine has none."""
    selenium = pytest.importorskip("selenium.webdriver", reason=MISSING)
    from selenium.webdriver.chrome.service import Service

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip(MISSING)
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ):  # root, containers
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with selenium.Chrome(options, Service(driver)) as opened:  # a path: selenium then looks for no driver elsewhere
        yield Browser(opened)


class Browser:
    """A browser with one page, of which the tests ask little more than scripts."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path, fragment="", *, width=1280, height=800, dark=False, reduced=False):
        """Opens a file in a window of a size, and empties the logs of earlier pages."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        features = {"prefers-color-scheme": "dark" if dark else "light"}
        features["prefers-reduced-motion"] = "reduce" if reduced else "no-preference"
        media = [{"name": name, "value": value} for name, value in features.items()]
        self.command("Emulation.setEmulatedMedia", features=media)
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(path.resolve().as_uri() + fragment)

    def command(self, name, **arguments):
        """Sends a command of the Chrome DevTools Protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script, *arguments):
        """Returns what a script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition):
        """Waits until a condition holds: an expression of the page, or a function of Python."""
        from selenium.webdriver.support.wait import WebDriverWait

        holds = condition if callable(condition) else lambda: self.run(f"return {condition}")
        WebDriverWait(self.driver, 20, poll_frequency=0.02).until(lambda _: holds())

    def find(self, selector, index=0):
        """Returns an element by its CSS selector."""
        return self.driver.find_elements("css selector", selector)[index]

    def text(self, selector):
        """Returns the text of an element as it is in the document."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def texts(self, selector):
        """Returns the texts of all elements of a selector."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def press(self, *keys):
        """Presses keys where the focus is."""
        self.actions().send_keys(*keys).perform()

    def actions(self):
        """Returns a new chain of actions, without pauses."""
        from selenium.webdriver import ActionChains

        return ActionChains(self.driver, duration=0)

    def messages(self):
        """Returns what the page logged since the last call: errors of scripts, of its policy, of files not found."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Returns the addresses that the page asked for since the last call, but for those that its policy stopped."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = {
            event["params"]["requestId"]: event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        }
        for event in events:
            if event["method"] == "Network.loadingFailed" and event["params"].get("blockedReason") == "csp":
                del sent[event["params"]["requestId"]]
        return list(sent.values())

    def pixels(self):
        """Returns a picture of the window, uint8 (height, width, 3)."""
        return np.asarray(Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB"))
