//! The socket pair between two processes: listening sockets in front, then messages, a line each.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::secret::Zeroizing;
use crate::upgrade::message::Message;

/// The longest message: what a picture of 64 MiB is in Base64, and more than all budgets of a config of the largest size.
const LONGEST: u64 = 96 << 20;

/// How long the other process may take to read a message. Whoever takes longer hangs.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Listening sockets that one process gives to another: clients' and operators'.
pub const SOCKETS: usize = 2;

/// Sends listening sockets, with one byte that carries them.
///
/// # Errors
/// The system's words.
pub fn send_sockets(to: &StdUnixStream, sockets: [BorrowedFd<'_>; SOCKETS]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(to, &[IoSlice::new(b"\n")], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Receives listening sockets. Blocks.
///
/// # Errors
/// When the other end sends something else, or the system's words.
pub fn receive_sockets(from: &StdUnixStream) -> io::Result<[TcpListener; SOCKETS]> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let (mut control, mut byte) = (RecvAncillaryBuffer::new(&mut space), [0]);
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
    let mut sockets: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            sockets.extend(fds);
        }
    }
    let sockets: [OwnedFd; SOCKETS] =
        sockets.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no listening sockets came"))?;
    for socket in &sockets {
        // No program that this process starts inherits them.
        fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    }
    Ok(sockets.map(TcpListener::from))
}

/// One end of the channel.
pub struct Channel {
    read: BufReader<OwnedReadHalf>,
    write: MessageWriter,
}

/// The half that sends.
pub struct MessageWriter(OwnedWriteHalf);

/// The half that receives.
pub struct MessageReader(BufReader<OwnedReadHalf>);

impl Channel {
    /// Speaks over this socket.
    ///
    /// # Errors
    /// The system's words.
    pub fn over(socket: StdUnixStream) -> io::Result<Channel> {
        socket.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(socket)?.into_split();
        Ok(Channel { read: BufReader::new(read), write: MessageWriter(write) })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the other process does not read it.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        self.write.send(message).await
    }

    /// The next message. `None` when the other process has ended, or closed its end.
    ///
    /// # Errors
    /// When it is none.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        next(&mut self.read).await
    }

    /// Both halves.
    pub fn split(self) -> (MessageReader, MessageWriter) {
        (MessageReader(self.read), self.write)
    }
}

impl MessageWriter {
    /// As [`Channel::send`].
    ///
    /// # Errors
    /// As [`Channel::send`].
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        let mut line = Zeroizing::new(serde_json::to_vec(message)?);
        line.push(b'\n');
        timeout(READ_WITHIN, self.0.write_all(&line)).await?
    }
}

impl MessageReader {
    /// As [`Channel::next`].
    ///
    /// # Errors
    /// As [`Channel::next`].
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        next(&mut self.0).await
    }
}

async fn next(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Message>> {
    let mut line = Zeroizing::new(Vec::new());
    let got = read.take(LONGEST).read_until(b'\n', &mut line).await?;
    match got {
        0 => Ok(None),
        _ => Ok(Some(serde_json::from_slice(&line)?)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[tokio::test]
    async fn sockets_and_messages_arrive_in_their_order_and_the_end_is_told() {
        let (old, new) = StdUnixStream::pair().unwrap();
        let sockets = [(); SOCKETS].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        send_sockets(&old, [sockets[0].as_fd(), sockets[1].as_fd()]).unwrap();
        let got = receive_sockets(&new).unwrap();
        let addresses =
            |sockets: &[TcpListener]| sockets.iter().map(|one| one.local_addr().unwrap()).collect::<Vec<_>>();
        assert_eq!(addresses(&got), addresses(&sockets));
        let (mut old, mut new) = (Channel::over(old).unwrap(), Channel::over(new).unwrap());
        old.send(&Message::Loaded).await.unwrap();
        old.send(&Message::Slots { slots: vec![("a".into(), 2)] }).await.unwrap();
        assert!(matches!(new.next().await.unwrap(), Some(Message::Loaded)));
        assert!(matches!(new.next().await.unwrap(), Some(Message::Slots { slots }) if slots == [("a".to_owned(), 2)]));
        drop(old);
        assert!(new.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_no_message_is_an_error() {
        let (old, new) = StdUnixStream::pair().unwrap();
        let mut new = Channel::over(new).unwrap();
        std::io::Write::write_all(&mut &old, b"{\"is\":\"good_morning\"}\n").unwrap();
        assert!(new.next().await.is_err());
    }

    #[test]
    fn a_byte_without_sockets_is_an_error() {
        let (old, new) = StdUnixStream::pair().unwrap();
        std::io::Write::write_all(&mut &old, b"\n").unwrap();
        assert!(receive_sockets(&new).is_err());
    }
}
