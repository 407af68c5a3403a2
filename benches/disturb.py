"""What the agent costs a print: OctoPrint's answers and the lines it sends, with the agent and without.

    cargo xtask disturb

does it all; with an agent that is there, `python3 benches/disturb.py AGENT [--pairs N] [--lines N] [--pace N] [--json]`.

One real OctoPrint prints one file to its end on its own virtual printer, again and again: in pairs with an
agent that reads it and without one, in turn first and second. The moves of the file lead nowhere, so that the
simulated printer waits for nothing and the lines go as fast as OctoPrint sends them; with a pace each move takes
its time, as in a real print. The agent's own share of the processor counts as well. One client asks for `/api/printer` all the while and takes the times. Says the mean of
the pairs' ratios with the 95 % interval of Student's t over their logarithms. Never decides a test: whatever
else works at the same time widens the interval.
"""

import argparse
import contextlib
import http.client
import json
import math
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = ROOT / "crates/testkit/peers"
ADMIN, STATUS = "LABADMINKEY0000000000000000000000", "LABSTATUSONLYKEY0000000000000000"
NOBODYS_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
GRANTED = ["print_time", "status", "machine", "temperature"]
# Onward at 100 mm/s, as far as the pace says: the simulated printer takes a tenth of a move's time, and none
# for a way back.
LINE = "G1 X{:06.3f} Y00.000 F6000\n"
LINE_BYTES = len(LINE.format(0))
SPEED = 100 * 10
ASK_EVERY = 0.1
WAIT_MAX = 120
# Student's t for 95 %, both sides, by pairs less one.
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
     2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(what, holds):
    """Waits for something that comes, not for a time."""
    end = time.monotonic() + WAIT_MAX
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"disturb: {what} did not come within {WAIT_MAX} s")
        time.sleep(0.1)


@contextlib.contextmanager
def program(command, folder, name):
    """A program that ends with the block; what it says stands in a file of the folder."""
    with open(folder / f"{name}.log", "a") as log:
        try:
            running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            sys.exit(f"disturb: `{command[0]}` is missing; install it: cargo xtask peers")
        try:
            yield running
        finally:
            running.terminate()
            running.wait()


class OctoPrint:
    """The real program, and one connection to it."""

    def __init__(self, folder):
        home = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '/root')}/.cache"
        cache = pathlib.Path(os.environ.get("IMPRIMATUR_PEERS") or f"{home}/imprimatur/peers")
        self.port, base = free_port(), folder / "octoprint"
        (base / "printerProfiles").mkdir(parents=True)
        settings = (PEER / "octoprint-config.yaml").read_text().replace("port: 5000", f"port: {self.port}")
        # It would look at the file between the prints, and a little longer after some than after others.
        (base / "config.yaml").write_text(f"{settings}gcodeAnalysis:\n  runAt: never\n")
        (base / "users.yaml").write_text((PEER / "octoprint-users.yaml").read_text())
        (base / "printerProfiles/lab.profile").write_text((PEER / "octoprint-lab.profile").read_text())
        self.command = [cache / "octoprint/bin/octoprint", "--basedir", base, "serve", "--iknowwhatimdoing",
                        "--host", "127.0.0.1", "--port", str(self.port)]
        self.line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method, path, body=None, kind="application/json"):
        body = json.dumps(body) if isinstance(body, dict) else body
        self.line.request(method, path, body, {"X-Api-Key": ADMIN, "Content-Type": kind})
        answer = self.line.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"disturb: OctoPrint answered {path} with {answer.status}")
        return json.loads(text) if text else None

    def state(self):
        try:
            return self.ask("GET", "/api/job")["state"]
        except (OSError, http.client.HTTPException):
            self.line.close()
            return None

    def upload(self, lines, pace):
        text = "G28\nG91\n" + LINE.format(SPEED / pace if pace else 0) * lines
        form = ("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"still.gcode\"\r\n\r\n"
                f"{text}\r\n--edge--\r\n")
        self.ask("POST", "/api/files/local", form, "multipart/form-data; boundary=edge")

    def print(self, process):
        """Prints the file to its end: lines a second, answers and processor in milliseconds, growth in bytes a line."""
        until("an idle printer", lambda: self.state() == "Operational")
        self.ask("POST", "/api/files/local/still.gcode", {"command": "select", "print": True})
        answers, places, before = [], [], resident(process)
        until("the first lines", lambda: (self.ask("GET", "/api/job")["progress"]["filepos"] or 0) > LINE_BYTES * 50)
        while True:
            job = self.ask("GET", "/api/job")
            if job["state"] != "Printing":
                break
            places.append((time.perf_counter(), job["progress"]["filepos"], processor(process)))
            for _ in range(5):
                begin = time.perf_counter()
                self.ask("GET", "/api/printer")
                answers.append((time.perf_counter() - begin) * 1000)
                time.sleep(ASK_EVERY)
        if len(places) < 5:
            sys.exit("disturb: the print was over before it could be watched; give more --lines")
        (begin, first, cpu), (end, last, more) = places[0], places[-1]
        lines = (last - first) / LINE_BYTES
        cuts = statistics.quantiles(answers, n=20)
        return {"lines": lines / (end - begin), "p50": cuts[9], "p95": cuts[18], "cpu": (more - cpu) * 1000 / lines,
                "grown": (resident(process) - before) / lines}


def resident(process):
    """Bytes of a process in memory."""
    return int(pathlib.Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor(process):
    """Seconds that a process spent on a processor, all its threads."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Agent:
    """The agent under test, with a store of its own for each print, that speaks to a real broker."""

    def __init__(self, path, folder, printer, broker):
        self.path, self.folder, self.count = path, folder, 0
        self.text = (
            f'[collector]\nbroker = "mqtt://127.0.0.1:{broker}"\nkey = "{NOBODYS_KEY}"\n[[source]]\n'
            f'kind = "octoprint"\nurl = "http://127.0.0.1:{printer}"\napi_key = "{STATUS}"\n'
        )

    def data(self):
        return self.folder / f"agent-{self.count}"

    @contextlib.contextmanager
    def running(self):
        """Granted, started, and reading."""
        self.count += 1
        settings = self.folder / f"agent-{self.count}.toml"
        settings.write_text(f'data_dir = "{self.data()}"\n{self.text}')
        says = [self.path, "--config", settings]
        subprocess.run([*says, "consent", "grant", *GRANTED, "--yes"], check=True, stdout=subprocess.DEVNULL)
        with program([*says, "run"], self.folder, "agent"):
            # A command that finds no agent opens the store itself, and the agent would find it in use.
            until("the agent's socket", (self.data() / "agent.sock").exists)

            def reads():
                told = subprocess.run([*says, "sources", "--json"], capture_output=True, text=True)
                return '"connected"' in told.stdout
            until("an agent that reads OctoPrint", reads)
            yield


def interval(ratios):
    """The geometric mean of ratios, and where it lies with 95 %."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.fmean(logs)
    half = T[min(len(logs) - 1, len(T)) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    return [math.exp(value) for value in (mean, mean - half, mean + half)]


FIGURES = [
    ("lines", "lines a second"),
    ("p50", "answer, median ms"),
    ("p95", "answer, 95th of 100 ms"),
    ("cpu", "OctoPrint's processor ms a line"),
]


def report(pairs, lines):
    rows = []
    for key, name in FIGURES:
        without, beside = ([pair[side][key] for pair in pairs] for side in (0, 1))
        ratio, low, high = interval([b / a for a, b in zip(without, beside)])
        rows.append({"figure": name, "without": statistics.median(without), "with": statistics.median(beside),
                     "ratio": ratio, "low": low, "high": high})
    grown = [statistics.median(pair[side]["grown"] for pair in pairs) for side in (0, 1)]
    return {"pairs": len(pairs), "lines": lines, "rows": rows, "grown": dict(zip(("without", "with"), grown))}


def show(told):
    print(f"{'':34}{'without':>10}{'with':>10}{'ratio':>8}   95 % interval")
    for row in told["rows"]:
        print(f"{row['figure']:34}{row['without']:10.2f}{row['with']:10.2f}{row['ratio']:8.3f}   "
              f"{row['low']:.3f} to {row['high']:.3f}")
    print(f"OctoPrint's memory grew by {told['grown']['without']:.0f} bytes a line without the agent, by "
          f"{told['grown']['with']:.0f} with it, and at most for the life of one push socket.")
    print(f"{told['pairs']} pairs of prints of {told['lines']} lines; ratio: with the agent over without.")


def main():
    arguments = argparse.ArgumentParser(description="What the agent costs a print.")
    arguments.add_argument("agent", help="the program, for example target/release/imprimatur-agent")
    arguments.add_argument("--pairs", type=int, default=10, help="at least 5 (default 10)")
    arguments.add_argument("--lines", type=int, default=40000, help="of the file (default 40000)")
    arguments.add_argument("--pace", type=int, default=0, help="lines a second, 20 to 500; without it as fast as can be")
    arguments.add_argument("--json", action="store_true", help="print JSON")
    asked = arguments.parse_args()
    if asked.pairs < 5:
        arguments.error("--pairs is less than 5: no interval could be said")
    if asked.pace and not 20 <= asked.pace <= 500:
        arguments.error("--pace is outside 20 to 500")
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker, peer = free_port(), OctoPrint(folder)
        (folder / "broker.conf").write_text(f"listener {broker} 127.0.0.1\nallow_anonymous true\n")
        stack.enter_context(program(["/usr/sbin/mosquitto", "-c", "broker.conf"], folder, "broker"))
        process = stack.enter_context(program(peer.command, folder, "octoprint"))
        until("OctoPrint with its printer", lambda: peer.state() == "Operational")
        peer.upload(asked.lines, asked.pace)
        agent = Agent(os.path.abspath(asked.agent), folder, peer.port, broker)
        # The first print warms caches up and is not counted.
        peer.print(process)
        pairs = []
        for turn in range(asked.pairs):
            pair = {}
            for beside in (turn % 2 == 0, turn % 2 == 1):
                with agent.running() if beside else contextlib.nullcontext():
                    pair[beside] = peer.print(process)
            pairs.append(pair)
            print(f"pair {turn + 1} of {asked.pairs}", file=sys.stderr)
    told = report(pairs, asked.lines)
    print(json.dumps(told, indent=2)) if asked.json else show(told)


if __name__ == "__main__":
    main()
