# rule: exit_status
# Memory that belongs to no process at all.
import os

kept = [os.memfd_create(str(at)) for at in range(32)]
while True:
    for file in kept:
        os.write(file, b"x" * (1 << 20))
