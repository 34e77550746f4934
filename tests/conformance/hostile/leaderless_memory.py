# rule: memory_limit time_limit
# Processes whose first thread has ended tell of no memory.
import ctypes
import os
import threading
import time


def keep():
    kept = []
    while True:
        block = bytearray(1 << 22)
        block[::4096] = b"x" * 1024
        kept.append(block)
        time.sleep(0.001 if len(kept) < 20 else 0.1)


for _ in range(7):
    if os.fork() == 0:
        break
threading.Thread(target=keep).start()
time.sleep(0.1)
exit_thread = 60 if os.uname().machine == "x86_64" else 93
ctypes.CDLL(None).syscall(exit_thread, 0)
