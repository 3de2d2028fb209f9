# SPDX-License-Identifier: PostgreSQL
"""A headless Chromium, spoken to over its debugging pipe: no port, no further packages."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("chromium-headless-shell", "chromium")


class Browser:
    """One page. `complaints` are console messages, exceptions and violations of its policy; `requests`
    the addresses it asked for."""

    def __init__(self):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        assert program, "no Chromium: install chromium-headless-shell"
        self.home = tempfile.mkdtemp(prefix="walrx-browser-")
        self.complaints, self.requests, self.answers = [], [], {}
        self.number = 0
        self.buffer = b""
        to_read, self.to_browser = os.pipe()
        self.from_browser, to_write = os.pipe()

        def wire():  # the browser reads 3 and writes 4
            kept = os.dup(to_read), os.dup(to_write)
            for fd, place in zip(kept, (3, 4)):
                if fd != place:
                    os.dup2(fd, place)
                os.set_inheritable(place, True)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-extensions", "--hide-scrollbars",
             "--remote-debugging-pipe", f"--user-data-dir={self.home}", "about:blank"],
            close_fds=False, preexec_fn=wire, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "TZ": "UTC", "HOME": self.home})
        os.close(to_read)
        os.close(to_write)
        self.session = None
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait(10)
        os.close(self.to_browser)
        os.close(self.from_browser)
        shutil.rmtree(self.home, ignore_errors=True)

    # -- the protocol --------------------------------------------------------------------------

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 30
        while self.number not in self.answers:
            assert time.monotonic() < end, f"no answer to {method}"
            self.listen(1)
        answer = self.answers.pop(self.number)
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        return answer["result"]

    def listen(self, seconds):
        """Takes what arrives, for so long at most."""
        if not select.select([self.from_browser], [], [], seconds)[0]:
            return
        self.buffer += os.read(self.from_browser, 1 << 20)
        *messages, self.buffer = self.buffer.split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.take_event(message["method"], message["params"])

    def take_event(self, method, params):
        if method == "Runtime.consoleAPICalled":
            self.complaints.append([a.get("value", a.get("description")) for a in params["args"]])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["exception"].get("description"))
        elif method == "Log.entryAdded":
            self.complaints.append((params["entry"]["text"], params["entry"].get("url")))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    # -- the page ------------------------------------------------------------------------------

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'", "the page is loaded")

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait(self, expression, what=None, timeout=15):
        end = time.monotonic() + timeout
        while not (value := self.value(expression)):
            assert time.monotonic() < end, f"not within {timeout} s: {what or expression}\n{self.text()}"
            self.listen(0.1)
        return value

    def text(self, selector="body"):
        return self.value(f"document.querySelector({json.dumps(selector)})?.innerText")

    def resize(self, width, height, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=mobile)

    def prefer(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def key(self, name, code):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if name == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **text)

    def screenshot(self, path, whole=True):
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(picture["data"]))
