# rule: cpu_limit time_limit exit_status
# The processor time of children whose ends are ignored is added to nobody's.
import os
import signal

try:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
except OSError:
    pass
for _ in range(200):
    if os.fork() == 0:
        for _ in range(1 << 22):
            pass
        os._exit(0)
    try:
        os.wait()
    except ChildProcessError:
        pass
print(7)
