# rule: time_limit cpu_limit
import os
import time

refused = 0
while True:
    try:
        os.fork()
    except OSError:
        refused += 1
        if refused > 1000:
            time.sleep(3600)
