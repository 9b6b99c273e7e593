//! A child as its supervisor sees it: a descriptor that says when it has ended, whoever started it. The supervisor that takes another's place has the same
//! process number, so that it is the parent of the children it finds.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::task::{Context, Poll};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};
use tokio::io::unix::AsyncFd;

use crate::inherit::readable;

/// A child that has not been reaped.
pub(super) struct Process {
    pid: Pid,
    fd: AsyncFd<OwnedFd>,
}

impl Process {
    /// Starts one.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        Self::watch(Pid::from_child(&child)).inspect_err(|_| {
            // Nobody would notice its end.
            let _ = child.kill();
            let _ = child.wait();
        })
    }

    /// One that an earlier supervisor of this process number started.
    ///
    /// # Errors
    /// There is no such child.
    pub(super) fn adopt(pid: i32) -> io::Result<Self> {
        Self::watch(Pid::from_raw(pid).filter(|_| pid > 1).ok_or(io::ErrorKind::InvalidInput)?)
    }

    fn watch(pid: Pid) -> io::Result<Self> {
        let fd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { pid, fd: readable(fd)? })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal; one that has ended gets none.
    pub(super) fn tell(&self, signal: Signal) {
        let _ = pidfd_send_signal(self.fd.get_ref(), signal);
    }

    /// Its end, once; then it is reaped.
    pub(super) fn poll_end(&self, context: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        loop {
            let mut ready = std::task::ready!(self.fd.poll_read_ready(context))?;
            match waitpid(Some(self.pid), WaitOptions::NOHANG) {
                Ok(Some((_, status))) => return Poll::Ready(Ok(ExitStatus::from_raw(status.as_raw()))),
                Ok(None) => ready.clear_ready(),
                Err(why) => return Poll::Ready(Err(why.into())),
            }
        }
    }
}
