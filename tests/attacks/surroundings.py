"""An honest solution that looks around first: what it finds must be the same after every other program."""

from __future__ import annotations

from tests.attacks import right_but

#: Prints as JSON what a program can see of its sandbox, as far as another program could have changed it.
LOOK = r"""
import builtins, ctypes, gc, json, math, os, resource, signal, socket, sys, threading, time

shut = os.getppid() == 1  # else much of it is the machine's

def lines(path):
    try:
        return open(path).read().splitlines()
    except OSError as error:
        return [type(error).__name__]

def names(path):
    try:
        return sorted({"<pid>" if name.isdigit() else name for name in os.listdir(path)})
    except OSError as error:
        return [type(error).__name__]

def bound(port):
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
    return "free"

status = dict(line.split(":\t", 1) for line in lines("/proc/self/status"))
libc = ctypes.CDLL(None)
found = {
    "here": names("."),
    "children": lines(f"/proc/self/task/{os.getpid()}/children"),
    "limits": [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT")],
    "schedule": [os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0)],
    "status": [status[name] for name in ("Umask", "SigBlk", "SigIgn", "SigCgt", "CapEff", "Threads", "TracerPid")],
    "environment": {name: value for name, value in os.environ.items() if name not in ("HOME", "TMPDIR")},
    "descriptors": sorted(os.listdir("/proc/self/fd")),
    "threads": threading.active_count(),
    "python": [sys.getrecursionlimit(), len(sys.modules), sys.path, len(dir(builtins)), gc.isenabled()],
    "mathematics": math.isclose(1, 1),
    "timer": signal.getitimer(signal.ITIMER_REAL),
    "zone": time.tzname,
    "socket": any("@left" in line for line in lines("/proc/net/unix")),
}
if shut:
    used = os.statvfs("/tmp")
    found |= {
        "places": {place: names(place) for place in ("/", "/tmp", "/dev/shm", "/dev/mqueue", "/var/tmp", "/run")},
        "space": used.f_blocks - used.f_bfree,
        "processes": sum(name.isdigit() for name in os.listdir("/proc")),
        "objects": [len(lines("/proc/sysvipc/" + kind)) for kind in ("shm", "sem", "msg")],
        "port": bound(8080),
        "queue": ctypes.CDLL("librt.so.1").mq_open(b"/left", 0),
        "host": socket.gethostname() if os.getuid() == 65534 else "",
    }
print(json.dumps(found, sort_keys=True))
"""
LOOKING = right_but(LOOK)
