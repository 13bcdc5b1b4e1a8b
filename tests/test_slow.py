"""The main job as a user runs it, on real CIFAR-10: minutes of training, `make test-slow`."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.reproduction.test_reproduction import contents

pytestmark = pytest.mark.slow
FIRSTLIGHT = str(Path(sys.executable).with_name("firstlight"))


def start(out: Path) -> subprocess.Popen[bytes]:
    command = [FIRSTLIGHT, "reproduce", "formula", "--preset", "quick", "--data", "cifar10", "--device", "cpu"]
    return subprocess.Popen([*command, "--out", str(out)])


def test_the_quick_preset_killed_in_mid_training_gives_the_bits_of_an_unbroken_run(tmp_path):
    assert start(tmp_path / "unbroken").wait() in (0, 1)
    for finished in (0, 2):  # once while VGG11 trains, once while ResNet20 does
        with start(tmp_path / "killed") as child:
            runs = tmp_path / "killed" / "runs"
            while child.poll() is None and not (
                len(list(runs.glob("*/run.json"))) == finished and list(runs.glob("*/checkpoint.safetensors"))
            ):
                time.sleep(0.05)
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
    assert start(tmp_path / "killed").wait() in (0, 1)
    assert contents(tmp_path / "killed") == contents(tmp_path / "unbroken")
    resumed = [json.loads(path.read_text())["resumed"] for path in runs.glob("*/run.json")]
    assert sorted(resumed) == [0] * 12 + [1, 1]
