# rule: wrong_output
# Leaves a process behind that answers later.
import os
import time

if os.fork() == 0:
    time.sleep(1)
    print(7, flush=True)
    time.sleep(3600)
print("later")
