"""A published generator's own code, timed a picture at a time for `cli/bench_compare.py`.

    python compared.py KIND FOLDER CODES.npy SIDE DEVICE

Runs in a process of its own, of which FOLDER (a checkout of KIND) is the path; it imports nothing of ours,
as those checkouts have packages of the same names. Weights are random: time does not depend on them. For
each line on standard input (the number of a row of CODES) it prints that picture's seconds; before the
first, "ready".
"""

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any


def nvidia(side: int, w_dim: int) -> tuple[Any, Callable[[Any, Any], Any]]:
    """StyleGAN2-ADA in PyTorch, configuration F, in float32: networks and how they are called."""
    network = import_module("training.networks").SynthesisNetwork(
        w_dim=w_dim, img_resolution=side, img_channels=3
    )
    return network, lambda synthesis, w: synthesis(w[None].expand(1, synthesis.num_ws, -1))


def rosinality(side: int, w_dim: int) -> tuple[Any, Callable[[Any, Any], Any]]:
    """StyleGAN2 by Kim Seonghyeon."""
    network = import_module("model").Generator(side, w_dim, 8)
    return network, lambda generator, w: generator([w], input_is_latent=True)[0]


def mobilestylegan(side: int, w_dim: int) -> tuple[Any, Callable[[Any, Any], Any]]:
    """MobileStyleGAN by its authors, who have it at 1024 px; fewer halvings give less."""
    theirs = import_module("core.models.mobile_synthesis_network")
    channels = [512, 512, 512, 512, 512, 256, 128, 64][: side.bit_length() - 3]
    return theirs.MobileSynthesisNetwork(w_dim, channels), lambda network, w: network(w)["img"]


KINDS = {"nvidia": nvidia, "rosinality": rosinality, "mobilestylegan": mobilestylegan}


def main(kind: str, folder: str, codes_file: str, side: str, device: str) -> None:
    # What their code prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path[0] = folder
    import numpy as np
    import torch

    torch.manual_seed(0)
    codes = torch.from_numpy(np.load(codes_file)).to(device)  # (N, D)
    network, call = KINDS[kind](int(side), codes.shape[1])
    network = network.eval().to(device)
    answers.write("ready\n")
    answers.flush()
    with torch.no_grad():
        for line in sys.stdin:
            w = codes[int(line) % len(codes)][None]
            start = time.perf_counter()
            call(network, w)
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            answers.write(f"{time.perf_counter() - start}\n")
            answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
