"""What ZipNN makes of some numbers: prints stored bytes, and seconds to compress and to decompress.

usage: measure_zipnn.py DTYPE ROUNDS FILE, DTYPE being bfloat16, float16 or float32. One thread, the best of so many rounds.
"""

import sys
import time

import zipnn


def best(rounds, work):
    """The last result and the shortest time of the process's own."""
    shortest = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        result = work()
        shortest = min(shortest, time.process_time() - start)
    return result, shortest


dtype, rounds, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open(path, "rb") as file:
    raw = file.read()
coder = zipnn.ZipNN(input_format="byte", bytearray_dtype=dtype, threads=1)
# The coder may change the buffer that it is given.
copies = iter([bytearray(raw) for _ in range(rounds)])
stored, compress = best(rounds, lambda: coder.compress(next(copies)))
back, decompress = best(rounds, lambda: coder.decompress(stored))
assert bytes(back) == raw, "other bytes"
print(len(stored), compress, decompress)
