"""What runs inside a sandbox: standard library only, Python 3.8 or newer, Linux or macOS.

The modules are sent to a bare ``python3`` over its stdin (see `pytest_mcode.sandboxes.sending`), so that any image with
Python will do and nothing is mounted or built. They import one another relatively, in the order of `MODULES`.

    supervisor   waits for jobs, watches the program of each, answers with what it saw
    child        a process forked before its job is known
    isolated     the solution in one process and the tests in another
    program      both in one: solution first, then the tests, then the secret
    plain        the values that cross between two processes
    cleaning     what is left between two programs: nothing
    output       head and tail of what a program writes
    frames       how processes talk
"""

MODULES = ("frames", "output", "cleaning", "plain", "program", "isolated", "child", "supervisor")
