# rule: memory_limit time_limit
# Each process stays below the limit of one; together they do not.
import os
import time

for _ in range(8):
    if os.fork() == 0:
        break
kept = []
while True:
    block = bytearray(1 << 22)
    block[::4096] = b"x" * 1024
    kept.append(block)
    time.sleep(0.001 if len(kept) < 20 else 0.1)
