"""Runs a program as another user: `python unprivileged.py UID GID PROGRAM ARGUMENT…`, started by root.

PostgreSQL refuses to run as root, and rightly. But root's files often lie where no other user may even pass through
(`/root` is 0700), and opening such folders to everyone is not ours to do. So the program keeps one capability of
root's, to search folders and read files, and loses all the others: it writes only what its user owns. Where a container
withholds that capability, the wider one to override file permissions takes its place.

Standard library only, run by path: it does not import Kwise.
"""

import ctypes
import os
import sys

# From <linux/prctl.h> and <linux/capability.h>.
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def become(uid: int, gid: int) -> None:
    """Makes this process `uid`:`gid` for good, with one capability left: to read and search folders.

    Raises OSError where the kernel or the container refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = Header(CAPABILITY_VERSION_3, 0)
    held = (Data * 2)()
    _check(libc.capget(ctypes.byref(header), held), "capget")
    wanted = [c for c in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if held[0].permitted & (1 << c)][:1]

    _check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    mask = sum(1 << c for c in wanted)
    left = (Data * 2)()
    left[0].effective = left[0].permitted = left[0].inheritable = mask
    _check(libc.capset(ctypes.byref(header), left), "capset")
    for capability in wanted:  # Ambient capabilities are the ones that survive exec.
        _check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl(PR_CAP_AMBIENT)")


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
