"""Who computes on all cores: a device's thread; every other thread on one."""

import threading

import torch

_claiming = threading.Lock()
_cores = 0


def claim_cores() -> None:
    """This thread computes on all cores from now on; each one that has not computed yet will on one.

    OpenMP gives every thread that computes a team of its own, and once there are more threads in teams than
    cores, a team goes to sleep between two operations instead of waiting for the next: on two cores a picture
    of 1024 px then takes half as long again. So nobody has a team who does not need one.
    """
    global _cores
    with _claiming:
        # Asked first, always: a thread that was never asked takes its count anew when it begins to compute.
        _cores = max(_cores, torch.get_num_threads())
        torch.set_num_threads(_cores)
        # That set what threads begin with, too, and so does this.
        other = threading.Thread(target=torch.set_num_threads, args=(1,))
        other.start()
        other.join()
