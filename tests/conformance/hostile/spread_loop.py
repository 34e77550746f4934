# rule: cpu_limit time_limit
# No process takes long; all of them together do.
import os

while True:
    if os.fork() == 0:
        for _ in range(1 << 20):
            pass
        os._exit(0)
    try:
        os.wait()
    except ChildProcessError:
        pass
