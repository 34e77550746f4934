# rule: exit_status
import os
import signal

for number in (os.getppid(), 1, -1):
    try:
        os.kill(number, signal.SIGKILL)
    except OSError:
        pass
raise SystemExit(1)
