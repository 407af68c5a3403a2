"""Tells the Imprimatur agent of this host that Cura sliced a file; for Cura's folder of scripts.

Hands over the comments that KEYS lists, never moves, names or pictures. Never raises, never keeps Cura
waiting longer than LIMIT_SECONDS, gives the data back as they came.
"""

import json
import os
import subprocess

from ..Script import Script

# The comments that say time, layer height, machine and slicer; all others stay here.
KEYS = (
    ";TIME:",
    ";TIME_ELAPSED:",
    ";PRINT.TIME:",
    ";Layer height:",
    ";NOZZLE_DIAMETER:",
    ";EXTRUDER_TRAIN.0.NOZZLE.DIAMETER:",
    ";TARGET_MACHINE.NAME:",
    ";GENERATOR.NAME:",
    ";GENERATOR.VERSION:",
    ";Generated with ",
)

# The agent ends by itself within a second.
LIMIT_SECONDS = 2

# At most this much of either end is looked at, and this much is handed over.
PART_MAX = 64 * 1024


class ImprimaturReport(Script):
    def getSettingDataString(self):
        return json.dumps({
            "name": "Imprimatur report",
            "key": "ImprimaturReport",
            "metadata": {},
            "version": 2,
            "settings": {
                "agent": {
                    "label": "Agent",
                    "description": "The program imprimatur-agent; a full path where it is not found by name.",
                    "type": "str",
                    "default_value": "imprimatur-agent",
                },
                "config": {
                    "label": "Settings of the agent",
                    "description": "The agent's agent.toml, if it is not in its usual place.",
                    "type": "str",
                    "default_value": "/etc/imprimatur/agent.toml",
                },
            },
        })

    def execute(self, data):
        try:
            subprocess.run(
                [
                    self.getSettingValueByKey("agent"),
                    "slicer-report",
                    "--config",
                    self.getSettingValueByKey("config"),
                    "-",
                ],
                input=comments(data)[:PART_MAX],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=LIMIT_SECONDS,
                # Cura's own libraries are not the agent's.
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
        except Exception:  # Whatever it is: it must not cost the owner a print.
            pass
        return data


def comments(data):
    """The listed comments of the file's head and tail."""
    ends = [part[:PART_MAX] for part in data[:2]] + [part[-PART_MAX:] for part in data[-3:]]
    lines = (line for part in ends for line in part.splitlines())
    return "".join(line + "\n" for line in lines if line.startswith(KEYS)).encode()
