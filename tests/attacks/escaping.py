"""Reaching for the machine: network, files, privileges. Each is right only if its attempt goes through."""

from __future__ import annotations

from tests.attacks import ANYWHERE, SHUT, TOTAL, WALLED, Hostile, if_it_works, table

#: What the tests plant in the harness's environment, and in a file of the host whose name begins so.
PLANTED = "planted-f3b1"
PLANTED_NAME = "MCODE_TEST_PLANTED"
PLANTED_FILE = "mcode-test-planted"

_C = (
    "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\ndef call(*args):\n    result = libc.syscall(*args)\n"
    "    if result < 0: raise OSError(ctypes.get_errno(), 'refused')\n    return result\n"
)
_NETWORK = {
    "a known address": "import socket\nsocket.create_connection(('1.1.1.1', 53), timeout=1)",
    "a datagram": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
    "a name": "import socket\nsocket.getaddrinfo('example.org', 80)",
    "the engine's gateway": "import socket\nsocket.create_connection(('172.17.0.1', 22), timeout=1)",
    "the cloud's metadata": "import socket\nsocket.create_connection(('169.254.169.254', 80), timeout=1)",
    "version six": "import socket\nsocket.create_connection(('2606:4700:4700::1111', 53), timeout=1)",
    "raw packets": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
    "packets of the link": "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "an interface": "import socket\nwon = any(name != 'lo' for _, name in socket.if_nameindex())",
    "the engine's socket": "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/var/run/docker.sock')",
    "a routing table": "won = len(open('/proc/net/route').readlines()) > 1",
    "sockets of the machine": "won = len(open('/proc/net/unix').readlines()) > 20",
}
_FILES = {
    "passwords": "open('/etc/shadow').read()",
    "root's home": "import os\nwon = any(not name.startswith('.') or name == '.ssh' for name in os.listdir('/root'))",
    "a file of the host": f"import glob\nwon = bool(glob.glob('/tmp/{PLANTED_FILE}*'))",
    "the machine's processes": "import os\nwon = sum(name.isdigit() for name in os.listdir('/proc')) > 10",
    "the engine's files": "import os\nos.listdir('/var/lib/docker')",
    "a disk": "import os, glob\nwon = False\nfor name in glob.glob('/dev/[svn][dv]*'):\n"
    "    os.open(name, os.O_RDONLY)\n    won = True",
    "the root": "open('/written', 'w')",
    "the system's programs": "open('/usr/bin/python3', 'ab')",
    "site-packages": "import site\nopen(site.getsitepackages()[0] + '/x.pth', 'w')",
    "core_pattern": "open('/proc/sys/kernel/core_pattern', 'w')",
    "the kernel's settings": "open('/proc/sys/kernel/hostname', 'w')",
    "the request key": "open('/proc/sysrq-trigger', 'w')",
    "kernel memory": "open('/dev/mem', 'rb')",
    "kernel messages": "open('/dev/kmsg', 'rb')",
    "the way out of a container": "import os\nfd = os.open('/proc/1/root', os.O_RDONLY)\nos.listdir('/proc/1/cwd')",
    "control groups": "import os, glob\nwon = False\n"
    "for name in glob.glob('/sys/fs/cgroup/**/release_agent', recursive=True):\n"
    "    open(name, 'w')\n    won = True",
    "the supervisor's own descriptors": "import os\nwon = bool(os.listdir('/proc/1/fd'))",
    "the supervisor's own memory": "open('/proc/1/mem', 'rb+')",
    "the supervisor's chances": "open('/proc/1/oom_score_adj', 'w').write('1000')",
}
_PRIVILEGES = {
    "root": "import os\nos.setuid(0)",
    "all ids": "import os\nos.setresuid(0, 0, 0)",
    "another user": "import os\nos.setresuid(1, 1, 1)",
    "groups": "import os\nos.setgroups([0])",
    "capabilities": "won = any(int(line.split()[1], 16) for line in open('/proc/self/status') if line[:6] in "
    "('CapPrm', 'CapEff', 'CapAmb'))",
    "mount": _C + "call(165, b'none', b'/tmp', b'tmpfs', 0, 0)",
    "unshare": _C + "call(272, 0x10000000)",
    "unshare the rest": _C + "call(272, 0x20000 | 0x40000000)",
    "a clone in a new namespace": _C + "if call(56, 0x10000000 | 17, 0, 0, 0, 0) == 0: os._exit(0)",
    "another's namespace": _C + "call(308, os.open('/proc/1/ns/mnt', os.O_RDONLY), 0)",
    "chroot": "import os\nos.mkdir('r')\nos.chroot('r')",
    "pivot_root": _C + "call(155, b'.', b'.')",
    "a device": "import os\nos.mknod('disk', 0o060600, os.makedev(8, 0))",
    "the host's name": "import socket\nsocket.sethostname('left')",
    "the clock": "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)",
    "real time": "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))",
    "a better priority": "import os\nos.setpriority(os.PRIO_PROCESS, 0, -10)",
    "limits raised": "import resource\nresource.setrlimit(resource.RLIMIT_NPROC, (-1, -1))",
    "memory raised": "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))",
    "reboot": _C + "call(169, 0xfee1dead, 672274793, 0x89abcdef, 0)",
    "a module for the kernel": _C + "call(175, b'', 0, b'')",
    "a program for the kernel": _C + "call(321, 5, ctypes.create_string_buffer(128), 128)",
    "kernel counters": _C + "call(298, ctypes.create_string_buffer(b'\\1\\0\\0\\0\\x70' + bytes(120)), 1, -1, -1, 0)",
    "a set-uid file": "import os, shutil, sys, subprocess\nshutil.copy(sys.executable, 'p')\nos.chown('p', 0, 0)\n"
    "os.chmod('p', 0o4755)",
    "a set-uid helper": "import subprocess\n"
    "won = subprocess.run(['su', '-c', 'id'], capture_output=True).returncode == 0",
    "a new program with rights": "import subprocess, sys\n"
    "out = subprocess.run([sys.executable, '-c', 'import os; print(os.geteuid())'], capture_output=True)\n"
    "won = out.stdout.strip() == b'0'",
}
_SECRETS = {
    "the environment": f"import os\nwon = '{PLANTED}' in repr(dict(os.environ))",
    "environments of others": "import glob\nwon = False\nfor name in glob.glob('/proc/*/environ'):\n"
    f"    try: won = won or b'{PLANTED}' in open(name, 'rb').read()\n    except OSError: pass",
}
_OWN_SECRETS = {
    "the parents' environment": "import os\npid = os.getppid()\nwon = False\nwhile pid > 1:\n"
    f"    won = won or b'{PLANTED_NAME}' in open(f'/proc/{{pid}}/environ', 'rb').read()\n"
    "    pid = int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])",
}
#: What Landlock leaves open: everything of the network but TCP, sockets that are files, and to see who runs.
_OPEN = (
    *("a datagram", "a name", "raw packets", "packets of the link", "an interface", "the engine's socket"),
    *("a routing table", "sockets of the machine", "the machine's processes"),
    "the supervisor's own descriptors",  # it looks at process 1, which is the machine's
)


def shut(name: str) -> tuple[str, ...]:
    """Where an attempt at the network or a file is not to go through."""
    return SHUT if name in _OPEN else WALLED


PROGRAMS = (
    *table(_NETWORK, lambda name, way: Hostile(f"network: {name}", if_it_works(way), TOTAL, homes=shut(name))),
    *table(_FILES, lambda name, way: Hostile(f"files: {name}", if_it_works(way), TOTAL, homes=shut(name))),
    *table(_PRIVILEGES, lambda name, way: Hostile(f"privileges: {name}", if_it_works(way), TOTAL, homes=SHUT)),
    *table(_SECRETS, lambda name, way: Hostile(f"secrets: {name}", if_it_works(way), TOTAL, homes=ANYWHERE)),
    *table(_OWN_SECRETS, lambda name, way: Hostile(f"secrets: {name}", if_it_works(way), TOTAL, homes=WALLED)),
)
