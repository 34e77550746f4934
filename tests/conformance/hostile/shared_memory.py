# rule: exit_status memory_limit time_limit
# Memory that belongs to no process's private data.
import mmap

kept = []
while True:
    block = mmap.mmap(-1, 1 << 24)
    for at in range(0, 1 << 24, 4096):
        block[at] = 1
    kept.append(block)
