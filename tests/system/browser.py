"""A headless Chromium that a test drives through the DevTools protocol: loads, types, clicks."""

import asyncio
import base64
import itertools
import json
import shutil
import subprocess

import websockets

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--remote-debugging-port=0"]


class Browser:
    """One tab of the size of a phone."""

    def __init__(self, folder, width=412, height=915):
        self.folder, self.size = folder, (width, height)
        self.numbers, self.process, self.socket = itertools.count(1), None, None

    async def __aenter__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program, "chromium is not installed"
        width, height = self.size
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self.folder}", f"--window-size={width},{height}",
             "about:blank"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        port, path = await self._address()
        whole = f"ws://127.0.0.1:{port}{path}"
        async with websockets.connect(whole, max_size=None) as front:
            self.socket = front
            targets = (await self.call("Target.getTargets"))["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        tab = f"ws://127.0.0.1:{port}/devtools/page/{page['targetId']}"
        self.socket = await websockets.connect(tab, max_size=None)
        await self.call("Page.enable")
        return self

    async def __aexit__(self, *_):
        await self.socket.close()
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, 20)

    async def _address(self):
        file = self.folder / "DevToolsActivePort"
        for _ in range(300):
            lines = file.read_text().split() if file.exists() else []
            if len(lines) == 2:
                return lines
            await asyncio.sleep(0.1)
        raise AssertionError("chromium did not start")

    async def call(self, method, **arguments):
        number = next(self.numbers)
        await self.socket.send(json.dumps({"id": number, "method": method, "params": arguments}))
        while True:
            answer = json.loads(await asyncio.wait_for(self.socket.recv(), 30))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    async def load(self, url):
        await self.call("Page.navigate", url=url)
        await self.settled()

    async def settled(self):
        """Waits until the page has loaded."""
        for _ in range(300):
            if await self.run("document.readyState") == "complete":
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the page never loaded")

    async def run(self, script):
        """Value of a script that the test runs from outside; pages need none."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    async def text(self):
        return await self.run("document.body ? document.body.innerText : ''")

    async def says(self, words):
        """Waits until the page has these words."""
        for _ in range(100):
            await self.settled()
            text = await self.text()
            if words in text:
                return text
            await asyncio.sleep(0.1)
        raise AssertionError(f"the page never said {words}: {text}")

    async def fill(self, name, value):
        field = f"document.querySelector('[name={name}]')"
        await self.run(f"{field}.value = {json.dumps(value)}")

    async def press(self, words):
        """Clicks the button with these words."""
        buttons = "[...document.querySelectorAll('button')]"
        await self.run(f"{buttons}.find(one => one.textContent === {json.dumps(words)}).click()")

    async def photograph(self, file):
        picture = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(picture["data"]))
