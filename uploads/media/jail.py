"""A process gives up what a decoder has no business with, and becomes the decoder.

Run as a script, without Django and without site-packages: `python -I -S jail.py MEMORY CPU FILE COMMAND …`.
"""

import ctypes
import os
import resource
import signal
import sys

OUR_FAULT = 70  # exit code: something is missing here, and no file is to blame
_SET_DEATH_SIGNAL = 1  # prctl's number for "when my parent dies, so do I"
_NEW_USER_AND_NETWORK = 0x10000000 | 0x40000000  # unshare's flags: a network with nothing in it
_OPEN_FILES = 64
_STACK = 2**20  # bytes of each thread: the usual eight count as memory, and ffmpeg has two dozen threads
_NICER = 5  # pages are answered first


def main(argv: list[str]) -> None:
    memory, cpu, file = map(int, argv[:3])
    _lose_network()
    for kind, most in (
        (resource.RLIMIT_DATA, memory),  # not RLIMIT_AS: programs map a great deal that they never touch
        (resource.RLIMIT_STACK, _STACK),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    # At the first limit comes a signal that says why, at the second a plain SIGKILL: they must not be one.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    os.nice(_NICER)
    os.umask(0o077)
    try:
        os.execv(argv[3], argv[3:])  # noqa: S606
    except OSError as error:
        print(f"{argv[3]}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(OUR_FAULT)


def _lose_network() -> None:
    """Where the system lets us. The decoders are told to open files only; this is the second wall."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    libc.unshare(_NEW_USER_AND_NETWORK)


if __name__ == "__main__":
    main(sys.argv[1:])
