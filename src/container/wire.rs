//! Messages between a slot's owner and its process: JSON over a SEQPACKET socket.
//!
//! A body that is too long for one packet travels as a descriptor of a memfd.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::cmsg_space;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Rung;
use super::left::Left;
use super::spec::{ImageSpec, Job};

/// Most descriptors in one message, the body included.
const MAX_FDS: usize = 6;

/// Longest body that is sent as it is. Two such packets fit into a socket of any machine's making.
const PACKET: usize = 4096;

/// First byte of a packet: the body follows.
const HERE: u8 = b'h';

/// First byte of a packet: the body is in the first descriptor.
const APART: u8 = b'a';

/// From the owner to the slot's process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// First message, once. With it: the program of PID 1.
    Setup(Box<Setup>),
    /// Start a container. With it: results, job and output.
    Start(Job),
}

/// Everything that is fixed for a slot's life.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) image: ImageSpec,
    pub(super) rung: Rung,
    /// Name of every container of this slot; unique on this machine.
    pub(super) name: String,
    /// Folders of the slot's cgroup, one per hierarchy.
    pub(super) cgroups: Vec<PathBuf>,
    /// First host id of the container's range of 65,536.
    pub(super) base: u32,
}

/// From the slot's process to the owner.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The slot can start containers.
    Ready,
    /// It cannot, and ends.
    Unfit(String),
    /// A container is on its way. With it: a pidfd of the process that stops it at SIGTERM.
    Forked,
    /// The container is gone.
    Ended(Report),
}

/// What became of one container.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    /// Monotonic microseconds at which the command began to run.
    pub(super) started_us: Option<i64>,
    /// Wait status of the command, if PID 1 lived to see it.
    pub(super) wait_status: Option<i32>,
    /// Processes that outlived the command.
    pub(super) stragglers: u32,
    /// What kept the container from starting.
    pub(super) failure: Option<String>,
    /// What the command left behind, where the job asks for it.
    pub(super) left: Option<Vec<Left>>,
    /// liblxc's log, capped.
    pub(super) log: String,
}

/// Seals a memfd: nobody changes it from now on.
///
/// "No future writes" rather than "no writes": nobody has it mapped yet, so they come to the same, but for the
/// latter the kernel first waits until no page is in any processor's hands, and gives up on a busy machine.
pub(super) fn seal(file: &File) -> io::Result<()> {
    let every = SealFlags::FUTURE_WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    Ok(fcntl_add_seals(file, every)?)
}

/// Returns a memfd that holds `bytes`, read from its start, which nobody can change any more.
pub(super) fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create(name, flags)?);
    file.write_all(bytes)?;
    file.rewind()?;
    seal(&file)?;
    Ok(file.into())
}

/// Sends one message with the given descriptors. Never waits: both sides read what they are sent.
pub(super) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let apart = (body.len() > PACKET)
        .then(|| sealed("message", &body))
        .transpose()?;
    let mut all: Vec<_> = apart.iter().map(AsFd::as_fd).collect();
    all.extend_from_slice(fds);
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !all.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&all)) {
        return Err(io::Error::other("too many descriptors in a message"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let packet: [&[u8]; 2] = match apart {
        None => [&[HERE], &body],
        Some(_) => [&[APART], &[]],
    };
    sendmsg(socket, &packet.map(IoSlice::new), &mut control, flags)?;
    Ok(())
}

/// Receives one message with its descriptors; `None` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut packet = [0; 1 + PACKET];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = rustix::io::retry_on_intr(|| {
        recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut packet)],
            &mut control,
            flags,
        )
    });
    let length = match got {
        Ok(message) => message.bytes,
        Err(rustix::io::Errno::CONNRESET) => 0,
        Err(error) => return Err(error.into()),
    };
    let Some((kind, here)) = packet[..length].split_first() else {
        return Ok(None);
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if *kind == HERE {
        return Ok(Some((serde_json::from_slice(here)?, fds)));
    }
    let mut fds = fds.into_iter();
    let body = fds
        .next()
        .ok_or_else(|| io::Error::other("a message without a body"))?;
    let mut file = File::from(body);
    // The description is shared with the sender, and so is its position.
    file.rewind()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(Some((serde_json::from_slice(&text)?, fds.collect())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn messages_of_any_length_arrive_with_their_descriptors_and_then_the_end() {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        // With its quotes, the second is the longest that fits.
        for length in [0, PACKET - 2, PACKET - 1, 1 << 20] {
            let sent = "x".repeat(length);
            let extra = sealed("extra", b"job").unwrap();
            send(ours.as_fd(), &sent, &[extra.as_fd()]).unwrap();
            let (text, fds): (String, _) = receive(theirs.as_fd()).unwrap().unwrap();
            assert_eq!(text, sent);
            let mut job = String::new();
            File::from(fds.into_iter().next().unwrap())
                .read_to_string(&mut job)
                .unwrap();
            assert_eq!(job, "job");
        }
        send(ours.as_fd(), &"alone", &[]).unwrap();
        let (text, fds): (String, _) = receive(theirs.as_fd()).unwrap().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("alone", 0));
        drop(ours);
        assert!(receive::<String>(theirs.as_fd()).unwrap().is_none());
    }
}
