//! The environment variables that make a process a worker.

/// The name of the socket on which the parent waits for the worker's hello.
pub(crate) const SOCKET: &str = "POLYREAD_WORKER_SOCKET";

/// The process id of the parent. A worker whose parent is another process by now ends: its parent died before the worker
/// could ask the kernel to be killed with it.
pub(crate) const PARENT: &str = "POLYREAD_WORKER_PARENT";

/// Whether this process was started as a worker.
pub(crate) fn is_worker() -> bool {
    std::env::var_os(SOCKET).is_some()
}
