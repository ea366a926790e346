"""Right solutions that leave something behind for the next program, or turn on the sandbox itself."""

from __future__ import annotations

from tests.attacks import ANYWHERE, SHUT, TOTAL, Hostile, Must, right_but, table

_C = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
_FILES = {
    "files where it may write": "import os\n"
    "for top in ('.', '/tmp', '/dev/shm', '/var/tmp', '/dev/mqueue', '/run', '/', '/root', '/etc'):\n"
    "    try: open(top + '/left', 'w').write('left')\n    except OSError: pass",
}
_OWN_FILES = {
    "files without rights": "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').close()\nos.chmod('a/b/c', 0)\n"
    "os.chmod('a/b', 0)\nos.chmod('a', 0)",
    "a tree deeper than a path": "import os\nfor _ in range(1500):\n    os.mkdir('d' * 50)\n"
    "    os.chdir('d' * 50)\nopen('left', 'w').close()",
    "a deep tree without rights": "import os\nfor _ in range(600):\n    os.mkdir('d')\n    os.chdir('d')\n"
    "    os.chmod('../d', 0o300)",
    "names that no one types": r"import os"
    "\n"
    r"for name in (b'\n"
    r"', b'\xff\xfe', b'-rf', b' ', b'x' * 255, b'\x1b[2J', '\u202e'.encode()): open(name, 'w').close()",
    "links": "import os\nos.symlink('/', 'root')\nos.symlink('..', 'up')\nos.symlink('self', 'self')\n"
    "os.symlink('x' * 1000, 'far')\n"
    "os.mkdir('d')\nos.symlink('/etc', 'd/etc')\nopen('f', 'w').close()\nos.link('f', 'd/g')",
    "pipes and sockets": "import os, socket\nos.mkfifo('pipe')\ns = socket.socket(socket.AF_UNIX)\n"
    "s.bind('socket')\ns.listen()",
    "a locked file": "import fcntl\nf = open('locked', 'w')\nfcntl.flock(f, fcntl.LOCK_EX)\n"
    "fcntl.lockf(f, fcntl.LOCK_EX)",
    "no directory": "import os\nos.rmdir(os.getcwd())",
    "attributes": "import os\nopen('f', 'w').close()\ntry: os.setxattr('f', 'user.left', b'x' * 1000)\n"
    "except OSError: pass",
    "a file that is mapped": "import mmap\nf = open('f', 'wb+')\nf.truncate(1 << 20)\n"
    "m = mmap.mmap(f.fileno(), 1 << 20)\nm[:4] = b'left'",
}
#: They wait a little: the process of the tests makes its own directory there.
_TOP = {
    "no directory of the sandbox": "import os, shutil, time\ntime.sleep(0.3)\n"
    "top = os.path.dirname(os.getcwd())\nos.chdir('/')\n"
    "try: os.rename(top, top + '-gone')\nexcept OSError: pass\nelse: shutil.rmtree(top + '-gone')",
    "another directory in the sandbox's place": "import os, shutil, time\ntime.sleep(0.3)\n"
    "top = os.path.dirname(os.getcwd())\nos.chdir('/')\n"
    "try: os.rename(top, top + '-gone')\nexcept OSError: pass\nelse:\n    os.mkdir(top)\n"
    "    shutil.rmtree(top + '-gone')",
}
_PROCESSES = {
    "a child": "import os, time\nif os.fork() == 0:\n    time.sleep(100)",
    "a daemon": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True:\n"
    "            try: open('left', 'w').close()\n            except OSError: pass\n    os._exit(0)",
    "a daemon that holds the output": "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
    "    if os.fork(): os._exit(0)\n"
    "    while True:\n        try: os.write(1, b'x')\n        except OSError: pass\n        time.sleep(0.001)",
    "a daemon that ignores signals": "import os, signal, time\nif os.fork() == 0:\n    os.setsid()\n"
    "    for n in range(1, 65):\n        try: signal.signal(n, signal.SIG_IGN)\n"
    "        except (OSError, ValueError): pass\n    time.sleep(100)",
    "a stopped child": "import os, signal, time\nif os.fork() == 0:\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
    "    time.sleep(100)",
    "a traced child": _C
    + "import os, time\nif os.fork() == 0:\n    libc.ptrace(0, 0, 0, 0)\n    os.kill(os.getpid(), 19)",
    "a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(100,)).start()",
    "a child without a parent to die for": _C
    + "import os, time\nif os.fork() == 0:\n    libc.prctl(1, 0, 0, 0, 0)\n    time.sleep(100)",
    "children of children": "import os, time\nfor _ in range(10):\n    if os.fork() == 0: os.setsid()\n"
    "    else: break\nelse:\n    time.sleep(100)\n"
    "if os.getppid() != 1 and _ > 0: time.sleep(100)",
    "zombies": "import os\nfor _ in range(20):\n    if os.fork() == 0: os._exit(0)",
}
_KERNEL = {
    "a listener": "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 8080))\ns.listen()\nkept = s.detach()",
    "a port that is still held": "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 8080))\ns.listen()\n"
    "c = socket.create_connection(('127.0.0.1', 8080))\na, _ = s.accept()\na.close()\nc.close()\ns.close()",
    "an abstract socket": "import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('\\0left')\ns.listen()\n"
    "kept = s.detach()",
    "shared memory": _C + "assert libc.shmget(0x1234, 4096, 0o1666) >= 0",
    "semaphores": _C + "assert libc.semget(0x1234, 1, 0o1666) >= 0",
    "a message queue": _C + "assert libc.msgget(0x1234, 0o1666) >= 0",
    "a message queue with a name": "import ctypes\nlibrt = ctypes.CDLL('librt.so.1')\n"
    "librt.mq_open(b'/left', 0o102, 0o666, None)",
    "a semaphore with a name": "import multiprocessing, ctypes\nlibc = ctypes.CDLL('libpthread.so.0')\n"
    "libc.sem_open(b'/left', 0o100, 0o666, 1)",
    "shared memory with a name": "from multiprocessing import shared_memory\n"
    "held = shared_memory.SharedMemory('left', create=True, size=1000)",
    "a key": _C + "libc.syscall(248, b'user', b'left', b'x', 1, -4)",
    "a timer": _C + "import signal\nsignal.setitimer(signal.ITIMER_REAL, 1000)",
    "a watch": _C + "fd = libc.inotify_init()\nlibc.inotify_add_watch(fd, b'/tmp', 0xfff)",
}
#: What one user's process may do to another of the same user, unless something is in between.
_SUPERVISOR = {
    "limits of others": "import resource, os\nfor pid in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
    "    for name in ('DATA', 'NOFILE', 'NPROC', 'FSIZE', 'CPU'):\n        if pid == os.getpid(): continue\n"
    "        number = getattr(resource, 'RLIMIT_' + name)\n"
    "        try: resource.prlimit(pid, number, (resource.prlimit(pid, number)[0] // 2, resource.prlimit(pid, "
    "number)[1] // 2))\n"
    "        except (OSError, ValueError): pass",
    "the memory that the supervisor may have": "import resource\n"
    "try: resource.prlimit(1, resource.RLIMIT_DATA, (1 << 26, 1 << 26))\nexcept OSError: pass",
    "the supervisor's priority": "import os\ntry: os.setpriority(os.PRIO_PROCESS, 1, 19)\nexcept OSError: pass",
    "the supervisor's processors": "import os\ntry: os.sched_setaffinity(1, {min(os.sched_getaffinity(1))})\n"
    "except OSError: pass",
    "the supervisor's scheduler": "import os\ntry: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))\n"
    "except OSError: pass",
    "signals to the supervisor": "import os\nfor number in range(1, 65):\n    if number in (17, 19, 20): continue\n"
    "    try: os.kill(1, number)\n    except OSError: pass",
    "stop the supervisor": "import os, signal\nfor number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN):\n"
    "    try: os.kill(1, number)\n    except OSError: pass",
    "wake the supervisor again and again": "import os, signal, threading\ndef wake():\n    while True:\n"
    "        try: os.kill(1, signal.SIGCHLD)\n        except OSError: return\n"
    "threading.Thread(target=wake, daemon=True).start()",
}
_EVERYONE = {
    "kill everyone": "import os\nos.kill(-1, 9)\ndef total(xs): return 0",
    "stop everyone": "import os\nos.kill(-1, 19)\ndef total(xs): return 0",
    "end everyone": "import os\nfor number in (1, 2, 3, 15):\n    try: os.kill(-1, number)\n"
    "    except OSError: pass\ndef total(xs): return 0",
    "kill every process by its number": "import os\nfor pid in range(1, 3000):\n    if pid != os.getpid():\n"
    "        try: os.kill(pid, 9)\n"
    "        except OSError: pass\ndef total(xs): return 0",
    "kill the supervisor in the call": "import os\ndef total(xs):\n    try: os.kill(1, 9)\n"
    "    except OSError: pass\n    return 0",
}


def _left(name: str, body: str) -> Hostile:
    return Hostile(f"leave {name}", right_but(body), TOTAL, Must.PASS)


def _left_shut(name: str, body: str) -> Hostile:
    return Hostile(f"leave {name}", right_but(body), TOTAL, Must.PASS, SHUT)


PROGRAMS = (
    *table(_OWN_FILES, _left),
    *table(_PROCESSES, _left),
    *table(_FILES, _left_shut),
    *table(_TOP, lambda name, body: Hostile(f"leave {name}", right_but(body), TOTAL, Must.PASS, ("plain", "unshare"))),
    *table(_KERNEL, _left_shut),
    *table(_SUPERVISOR, lambda name, body: Hostile(f"change {name}", right_but(body), TOTAL, Must.PASS, SHUT)),
    *table(_EVERYONE, lambda name, source: Hostile(name, source, TOTAL, homes=SHUT, timeout=0.5)),
    Hostile(
        "kill the supervisor of a plain process",
        "import os\nos.kill(os.getppid(), 9)\ndef total(xs): return 0",
        TOTAL,
        homes=ANYWHERE,
    ),
)
