# rule: cpu_limit time_limit
# Signals that could be ignored are.
import signal

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, signal.SIG_IGN)
while True:
    pass
