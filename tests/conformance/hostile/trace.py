# rule: exit_status
# Reading or driving another process.
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(64)


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


ours, theirs = Part(ctypes.addressof(buffer), 64), Part(0x400000, 64)
for number in (1, os.getppid()):
    attached = libc.ptrace(16, number, 0, 0) == 0
    if attached or libc.process_vm_readv(number, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0) > 0:
        print(7)
        os._exit(0)
os._exit(1)
