# rule: exit_status
# Shared memory that is said not to be needed is in no process's count, and stays.
import mmap

kept = []
for _ in range(40):
    block = mmap.mmap(-1, 1 << 24)
    for at in range(0, 1 << 24, 4096):
        block[at] = 1
    block.madvise(mmap.MADV_DONTNEED)
    kept.append(block)
print(7)
