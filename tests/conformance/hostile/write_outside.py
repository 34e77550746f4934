# rule: exit_status
import os

places = ["/written", "/usr/lib/written", "/dev/null/written", "/box/../written", os.path.dirname(os.__file__) + "/written.py"]
done = 0
for place in places:
    try:
        open(place, "w").write("import os\n")
        done += 1
    except OSError:
        pass
assert done
print(7)
