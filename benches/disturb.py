"""What the agent costs a print: OctoPrint's answers and the lines it sends, with the agent and without.

    cargo xtask disturb

does it all; with an agent that is there, `python3 benches/disturb.py AGENT [--pairs N] [--seconds N] [--pace N] [--json]`.

One real OctoPrint prints one long file on its own virtual printer. In pairs of windows of that one print an agent
reads it or none does, in turn first and second; an agent is started before its window and has reached its pace when that
begins. The moves of the file lead nowhere, so that the simulated printer waits for nothing and the lines go as
fast as OctoPrint sends them; with a pace each move takes its time, as in a real print. The agent's own share of the
processor counts as well. One client asks for `/api/printer` all the while and takes the times. Says the mean of
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
# Seconds before a window counts, and at most from one window to the next.
SETTLE, BETWEEN = 3, 15
# Lines a second that no machine was seen to reach.
LINES_MAX = 5000
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

    def print(self):
        """Starts the file, and waits until it runs well."""
        self.ask("POST", "/api/files/local/still.gcode", {"command": "select", "print": True})
        until("the first lines", lambda: self.place()[1] > LINE_BYTES * 50)
        time.sleep(SETTLE)

    def place(self):
        """When, and how many bytes of the file were sent by then: taken when the number changes."""
        before = None
        while True:
            job = self.ask("GET", "/api/job")
            if job["state"] not in ("Printing", "Starting"):
                sys.exit(f"disturb: the print is {job['state']} before the last window; report this")
            now = job["progress"]["filepos"] or 0
            if before is not None and now != before:
                return time.perf_counter(), now
            before = now
            time.sleep(0.02)

    def window(self, process, seconds):
        """Watches the print: lines a second, answers and processor in milliseconds, growth in bytes a line."""
        answers, memory = [], resident(process)
        (begin, first), cpu = self.place(), processor(process)
        while time.perf_counter() < begin + seconds:
            asked = time.perf_counter()
            self.ask("GET", "/api/printer")
            answers.append((time.perf_counter() - asked) * 1000)
            time.sleep(ASK_EVERY)
        (end, last), more = self.place(), processor(process)
        lines = (last - first) / LINE_BYTES
        cuts = statistics.quantiles(answers, n=20)
        return {"lines": lines / (end - begin), "p50": cuts[9], "p95": cuts[18], "cpu": (more - cpu) * 1000 / lines,
                "grown": (resident(process) - memory) / lines}


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


def report(pairs, seconds):
    rows = []
    for key, name in FIGURES:
        without, beside = ([pair[side][key] for pair in pairs] for side in (0, 1))
        ratio, low, high = interval([b / a for a, b in zip(without, beside)])
        rows.append({"figure": name, "without": statistics.median(without), "with": statistics.median(beside),
                     "ratio": ratio, "low": low, "high": high})
    grown = [statistics.median(pair[side]["grown"] for pair in pairs) for side in (0, 1)]
    return {"pairs": len(pairs), "seconds": seconds, "rows": rows, "grown": dict(zip(("without", "with"), grown))}


def show(told):
    print(f"{'':34}{'without':>10}{'with':>10}{'ratio':>8}   95 % interval")
    for row in told["rows"]:
        print(f"{row['figure']:34}{row['without']:10.2f}{row['with']:10.2f}{row['ratio']:8.3f}   "
              f"{row['low']:.3f} to {row['high']:.3f}")
    print(f"OctoPrint's memory grew by {told['grown']['without']:.0f} bytes a line without the agent, by "
          f"{told['grown']['with']:.0f} with it, and at most for the life of one push socket.")
    print(f"{told['pairs']} pairs of windows of {told['seconds']} s; ratio: with the agent over without.")


def main():
    arguments = argparse.ArgumentParser(description="What the agent costs a print.")
    arguments.add_argument("agent", help="the program, for example target/release/imprimatur-agent")
    arguments.add_argument("--pairs", type=int, default=10, help="at least 5 (default 10)")
    arguments.add_argument("--seconds", type=int, default=15, help="of a window, 5 to 300 (default 15)")
    arguments.add_argument("--pace", type=int, default=0, help="lines a second, 20 to 500; without it as fast as can be")
    arguments.add_argument("--json", action="store_true", help="print JSON")
    asked = arguments.parse_args()
    if asked.pairs < 5:
        arguments.error("--pairs is less than 5: no interval could be said")
    if asked.pace and not 20 <= asked.pace <= 500:
        arguments.error("--pace is outside 20 to 500")
    if not 5 <= asked.seconds <= 300:
        arguments.error("--seconds is outside 5 to 300")
    windows = asked.pairs * 2 * (asked.seconds + BETWEEN) + 60
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker, peer = free_port(), OctoPrint(folder)
        (folder / "broker.conf").write_text(f"listener {broker} 127.0.0.1\nallow_anonymous true\n")
        stack.enter_context(program(["/usr/sbin/mosquitto", "-c", "broker.conf"], folder, "broker"))
        process = stack.enter_context(program(peer.command, folder, "octoprint"))
        until("OctoPrint with its printer", lambda: peer.state() == "Operational")
        peer.upload(windows * (asked.pace or LINES_MAX), asked.pace)
        agent = Agent(os.path.abspath(asked.agent), folder, peer.port, broker)
        peer.print()
        pairs = []
        for turn in range(asked.pairs):
            pair = {}
            for beside in (turn % 2 == 0, turn % 2 == 1):
                with agent.running() if beside else contextlib.nullcontext():
                    time.sleep(SETTLE)
                    pair[beside] = peer.window(process, asked.seconds)
            pairs.append(pair)
            print(f"pair {turn + 1} of {asked.pairs}", file=sys.stderr)
    told = report(pairs, asked.seconds)
    print(json.dumps(told, indent=2)) if asked.json else show(told)


if __name__ == "__main__":
    main()
