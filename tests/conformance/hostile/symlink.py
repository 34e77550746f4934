# rule: exit_status
import os

os.symlink("/etc/passwd", "link")
os.symlink("/proc/1/cwd/../etc/passwd", "other")
try:
    print(open("link").read())
except OSError:
    print(open("other").read())
print(7)
