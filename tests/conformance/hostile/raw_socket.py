# rule: exit_status
# Not through Python's module: by the system call, of every family.
import ctypes

libc = ctypes.CDLL(None)
for family in range(1, 45):
    for kind in (1, 2, 3):
        if libc.socket(family, kind, 0) >= 0:
            print(7)
            raise SystemExit(0)
raise SystemExit(1)
