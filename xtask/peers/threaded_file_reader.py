"""Threads: a pool of eight, a future for each file, results in the order in which they are finished.

The interpreter's lock lets one thread count at a time; others wait for files meanwhile.
"""

import concurrent.futures
import threading
import time
from collections import deque

from file_results import FileResult, files_below, main, size_of


class ThreadedFileReader:
    def __init__(self, max_workers=8):
        self.max_workers = max_workers
        self.results_stack = deque()
        self.lock = threading.Lock()
        self.processed_files = 0

    def read_file_sync(self, file_path):
        start_time = time.time()
        result = FileResult(file_path, threading.current_thread().name, 0.0)
        try:
            with open(file_path, "r", encoding="utf-8", errors="ignore") as file:
                content = file.read()
                result.byte_count = size_of(file)
            result.word_count = len(content.split())
            result.char_count = len(content)
        except Exception as error:
            result.error = str(error) or repr(error)
        result.read_time = time.time() - start_time
        with self.lock:
            self.processed_files += 1
        return result

    def read_files_threaded(self, directory):
        files_to_read = files_below(directory)
        with concurrent.futures.ThreadPoolExecutor(max_workers=self.max_workers) as executor:
            future_to_file = {executor.submit(self.read_file_sync, file_path): file_path for file_path in files_to_read}
            for future in concurrent.futures.as_completed(future_to_file):
                self.results_stack.append(future.result())
        return self.results_stack


if __name__ == "__main__":
    main(lambda directory: ThreadedFileReader().read_files_threaded(directory))
