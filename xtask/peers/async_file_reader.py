"""Async: a coroutine for each file, as many at once as the semaphore allows, all on one thread's event loop.

`aiofiles` hands each call on a file to a pool of threads; what is counted is counted on the loop.
"""

import asyncio
import time
from collections import deque

import aiofiles

from file_results import FileResult, files_below, main, size_of


class AsyncFileReader:
    def __init__(self, max_concurrent_files=100):
        self.results_stack = deque()
        self.semaphore = asyncio.Semaphore(max_concurrent_files)
        self.processed_files = 0

    async def read_file_async(self, file_path):
        async with self.semaphore:
            start_time = time.time()
            result = FileResult(file_path, asyncio.current_task().get_name(), 0.0)
            try:
                async with aiofiles.open(file_path, "r", encoding="utf-8", errors="ignore") as file:
                    content = await file.read()
                    result.byte_count = size_of(file)
                result.word_count = len(content.split())
                result.char_count = len(content)
            except Exception as error:
                result.error = str(error) or repr(error)
            result.read_time = time.time() - start_time
            self.processed_files += 1
            return result

    async def read_files_from_directory(self, directory):
        tasks = [self.read_file_async(file_path) for file_path in files_below(directory)]
        for result in await asyncio.gather(*tasks):
            self.results_stack.append(result)
        return self.results_stack


async def read(directory):
    return await AsyncFileReader().read_files_from_directory(directory)


if __name__ == "__main__":
    main(lambda directory: asyncio.run(read(directory)))
