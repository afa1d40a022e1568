"""Processes: a pool with one for each core, `map` over the files, results pickled on their way back.

No lock is shared, so that all cores count at once. The document's worker also sends the content back, in front of which it
puts the counts; here only the counts travel, which is faster.
"""

import multiprocessing as mp
import os
import time
from collections import deque

from file_results import FileResult, files_below, main, size_of


def read_file_worker(file_path):
    start_time = time.time()
    result = FileResult(file_path, str(os.getpid()), 0.0)
    try:
        with open(file_path, "r", encoding="utf-8", errors="ignore") as file:
            content = file.read()
            result.byte_count = size_of(file)
        result.word_count = len(content.split())
        result.char_count = len(content)
    except Exception as error:
        result.error = str(error) or repr(error)
    result.read_time = time.time() - start_time
    return result


class MultiprocessFileReader:
    def __init__(self, max_processes=None):
        self.max_processes = max_processes or mp.cpu_count()
        self.results_stack = deque()

    def read_files_multiprocess(self, directory):
        files_to_read = files_below(directory)
        with mp.Pool(processes=self.max_processes) as pool:
            results = pool.map(read_file_worker, files_to_read)
        for result in results:
            self.results_stack.append(result)
        return self.results_stack


if __name__ == "__main__":
    main(lambda directory: MultiprocessFileReader().read_files_multiprocess(directory))
