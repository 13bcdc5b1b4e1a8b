"""A training that writes checkpoints and deletes old ones, and goes on when it is killed: `FOLDER KIND STEPS`.

Beside the folder it keeps the first layer at every step, and the number of the process that trains.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

KEPT = 3
SECONDS = 0.2  # from one checkpoint to the next


def renamed(model: nn.Module, folder: Path, step: int) -> None:
    """As Hugging Face's Trainer: a folder that gets its name when all is in it."""
    part = folder / f"tmp-checkpoint-{step}"
    part.mkdir()
    save_file(model.state_dict(), part / "model.safetensors")
    torch.save({"state": {}}, part / "optimizer.pt")
    part.rename(folder / f"checkpoint-{step}")


def in_place(model: nn.Module, folder: Path, step: int) -> None:
    """As Lightning: a file that is there before it is whole, and a copy of it."""
    for name in (f"epoch={step // 4}-step={step}.ckpt", "last.ckpt"):
        torch.save({"state_dict": model.state_dict(), "global_step": step}, folder / name)


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints that are there, by step."""
    found = [(path.stem.replace("=", "-").rpartition("-")[2], path) for path in folder.glob("*[0-9]*")]
    return sorted((int(number), path) for number, path in found)


def train(folder: Path, kind: str, steps: int) -> None:
    """Train to the end, from the last checkpoint on where there is one."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 3)
    model = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for part in folder.glob("tmp-*"):
        shutil.rmtree(part)
    step = 0
    for number, path in reversed(numbered(folder)):
        try:
            state = load_file(path / "model.safetensors") if path.is_dir() else torch.load(path)["state_dict"]
        except (EOFError, RuntimeError):  # it was killed when this one was half written
            continue
        step = number
        model.load_state_dict(state)
        break
    while step < steps:
        images = torch.randn(8, 3, 8, 8)
        nn.functional.cross_entropy(model(images), (images.mean((1, 2, 3)) > 0).long()).backward()
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        np.save(f"step{step}.npy", conv.weight.detach().numpy())
        (renamed if kind == "renamed" else in_place)(model, folder, step)
        for _, old in numbered(folder)[:-KEPT]:
            shutil.rmtree(old) if old.is_dir() else os.unlink(old)
        time.sleep(SECONDS)


def main(folder: Path, kind: str, steps: int) -> None:
    """Train in a process of its own, and in another one if that is killed."""
    torch.set_num_threads(1)
    code = 1
    while code:
        if not (process := os.fork()):
            train(folder, kind, steps)
            os._exit(0)
        Path("number").write_text(str(process))
        code = os.waitpid(process, 0)[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
