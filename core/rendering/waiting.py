"""How long OpenMP's threads wait for each other awake."""

import os

# Times that a waiting thread looks: some microseconds, as the gaps between a picture's operations are.
LOOKS = "1000"
SET_BY_HAND = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def wait_briefly() -> None:
    """Let a team's threads sleep soon when they wait; call before torch is imported, later it does nothing.

    GNU's default is milliseconds. Where another program runs on the core that a team's other thread needs,
    each of the hundreds of operations of a picture waits so long, while the waiting keeps that thread from
    its core: beside one busy program on two cores, pictures of 1024 px took .25 to 3.6 s, and take .14 s so.
    Alone they take as long as before.
    """
    if not any(name in os.environ for name in SET_BY_HAND):
        os.environ["GOMP_SPINCOUNT"] = LOOKS
