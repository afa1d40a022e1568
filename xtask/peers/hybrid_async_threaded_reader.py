"""Hybrid: files below 10 kB as coroutines, larger ones on a pool of four threads, both at once, one list of results.

The document's `HybridAsyncThreadedReader` has the two ways of reading written into it once more. Here they are those of the
async and the threaded reader, which are the same to the letter.
"""

import asyncio
import concurrent.futures

from async_file_reader import AsyncFileReader
from file_results import files_below, main
from threaded_file_reader import ThreadedFileReader

LARGE = 10_000


class HybridAsyncThreadedReader:
    def __init__(self, max_async_workers=50, max_thread_workers=4):
        self.small = AsyncFileReader(max_async_workers)
        self.large = ThreadedFileReader(max_thread_workers)

    async def read_files_hybrid(self, directory):
        files_to_read = files_below(directory)
        async_files = [path for path in files_to_read if path.stat().st_size < LARGE]
        thread_files = [path for path in files_to_read if path.stat().st_size >= LARGE]
        async_tasks = [self.small.read_file_async(path) for path in async_files]
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(max_workers=self.large.max_workers) as executor:
            thread_tasks = [loop.run_in_executor(executor, self.large.read_file_sync, path) for path in thread_files]
            return await asyncio.gather(*async_tasks, *thread_tasks)


async def read(directory):
    return await HybridAsyncThreadedReader().read_files_hybrid(directory)


if __name__ == "__main__":
    main(lambda directory: asyncio.run(read(directory)))
