"""A network namespace for the run: without other programs, and with one congestion control for all sockets."""

import ctypes
import fcntl
import os
import pathlib
import socket
import struct

CONGESTION_CONTROL = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def enter(congestion_control: str) -> str:
    """Moves this process and its children into a new network namespace with a loopback interface only. Returns: the
    result, for the report. Where this is forbidden, as in many containers, the run uses the network of the system."""
    if not is_possible():
        return f"{in_use()}, the system's default, since no network namespace is permitted"
    move()
    try:
        CONGESTION_CONTROL.write_text(congestion_control)
    except OSError:
        return f"{in_use()}, the system's default, in a network namespace that may not have {congestion_control}"
    return f"{in_use()}, in a network namespace of the run's own"


def in_use() -> str:
    return CONGESTION_CONTROL.read_text().strip()


def is_possible() -> bool:
    """Tried by a child process first: after a failure half-way there would be no network."""
    child = os.fork()
    if child == 0:
        try:
            move()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def move() -> None:
    unshare()
    loopback_up()


def unshare() -> None:
    """With a user namespace for users other than root, in which they may configure that network."""
    user, group, root = os.getuid(), os.getgid(), os.geteuid() == 0
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET if root else CLONE_NEWNET | CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if not root:
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
