//! A child process that others may kill: a fault proxy does so in the middle of a request.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
};

/// A handle; all copies mean the same process.
///
/// Invariant: signals go out under the lock that also reaps, so a number never means another process.
#[derive(Clone, Debug)]
pub struct Process(Arc<Mutex<Child>>);

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        Process(Arc::new(Mutex::new(child)))
    }

    fn child<T>(&self, act: impl FnOnce(&mut Child) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn pid(&self) -> u32 {
        self.child(|child| child.id())
    }

    /// SIGKILL. Returns when the process is gone, so that nothing happens after it.
    pub fn kill(&self) {
        self.child(|child| {
            let _ = child.kill(); // fails only when it has ended
            let _ = child.wait();
        });
    }

    /// Sends a signal by its name: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        self.child(|child| {
            if child.try_wait().is_ok_and(|status| status.is_none()) {
                let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
                assert!(sent.is_ok_and(|status| status.success()), "kill -s {name} failed");
            }
        });
    }

    /// Its exit code, as shells give it, if it has ended.
    pub fn ended(&self) -> Option<i32> {
        self.child(Child::try_wait).expect("our own child").map(code)
    }
}

/// A process that a signal ended yields 128 and the signal.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
