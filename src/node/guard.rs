//! Closes this process's memory to other processes of the same user.
//!
//! Every process that holds a secret calls this before it reads one. It does not stop root, nor
//! anyone who changed the executable.

use rustix::process::{Resource, Rlimit, setrlimit};

/// No debugger of the same user may attach, `/proc/PID/mem` is closed, and a crash leaves no
/// image of the memory on disk.
///
/// # Errors
/// When the system says no. Nothing secret should be read then.
pub fn close_memory() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_closed_and_no_core_is_written() {
        close_memory().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Core).maximum, Some(0));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable
        );
        close_memory().unwrap();
    }
}
