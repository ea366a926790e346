"""What runs inside a sandbox: standard library only, Python 3.8 or newer, Linux or macOS.

The modules are sent to a bare ``python3`` over its stdin (see `pytest_mcode.sandboxes.sending`), so that any image with
Python will do and nothing is mounted or built. They import one another relatively, in the order of `MODULES`.

    supervisor   waits for jobs, answers with what it saw of the program of each
    trial        watches one program
    child        a process forked before its job is known
    isolated     the solution in one process and the tests in another
    program      both in one: solution first, then the tests, then the secret
    plain        the values that cross between two processes
    errors       the exceptions that do
    cleaning     what is left between two programs: nothing
    landlock     files and TCP closed by the kernel, where there are no namespaces
    buffers      what the supervisor holds of a program, so that the next one cannot find it
    frames       how processes talk
"""

MODULES = (
    *("frames", "buffers", "cleaning", "landlock", "errors", "plain", "program", "isolated", "child", "trial"),
    "supervisor",
)
