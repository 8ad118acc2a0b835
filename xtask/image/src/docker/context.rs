//! The build context that is sent to the engine, and the content tag that follows from it.
//!
//! The tar stream is the same for the same files: no times, no owners, sorted by path. Files are streamed from disk,
//! not held in memory.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use model::reference::hex;

const CHUNK: usize = 256 * 1024;
/// A tar archive is made of blocks of this size (POSIX.1-2001, `pax`).
const BLOCK: u64 = 512;

/// One file of a build context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// Path inside the context.
    path: String,
    file: PathBuf,
    size: u64,
    executable: bool,
}

/// The files and arguments of a build.
#[derive(Debug, Clone)]
pub struct BuildContext {
    entries: Vec<Entry>,
    pub arguments: Vec<(String, String)>,
    pub platform: &'static str,
}

impl BuildContext {
    pub fn new(platform: &'static str, arguments: &[(&str, &str)]) -> Self {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { entries: Vec::new(), arguments, platform }
    }

    /// Adds `file` at `path` inside the context.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn add(&mut self, path: &str, file: &Path, executable: bool) -> Result<()> {
        let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
        self.entries.push(Entry { path: path.to_owned(), file: file.to_owned(), size, executable });
        self.entries.sort();
        Ok(())
    }

    /// SHA-256 of everything that goes into the image, in all 64 hexadecimal digits: with fewer, a collision could be
    /// constructed.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub async fn hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{:?}\n", self.platform, self.arguments));
        let mut tar = std::pin::pin!(self.clone().tar());
        while let Some(chunk) = tar.try_next().await? {
            hash.update(&chunk);
        }
        Ok(hex(&hash.finalize()))
    }

    /// The context as a tar stream.
    pub fn tar(self) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
        let end = Bytes::from_static(&[0; 2 * BLOCK as usize]);
        stream::iter(self.entries).flat_map(|entry| entry.tar().boxed()).chain(stream::iter([Ok(end)]))
    }
}

impl Entry {
    fn tar(self) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
        let padding = usize::try_from(self.size.next_multiple_of(BLOCK) - self.size).expect("less than a block");
        let tail = stream::iter([Ok(Bytes::from(vec![0; padding]))]);
        let header = stream::iter([self.header()]);
        header.chain(chunks(self.file, self.size)).chain(tail)
    }

    fn header(&self) -> io::Result<Bytes> {
        let mut header = tar::Header::new_ustar();
        header.set_path(&self.path)?;
        header.set_size(self.size);
        header.set_mode(if self.executable { 0o755 } else { 0o644 });
        header.set_entry_type(tar::EntryType::Regular);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        Ok(Bytes::copy_from_slice(header.as_bytes()))
    }
}

/// Exactly `size` bytes of a file. One that became shorter meanwhile is an error: the tar would be broken.
fn chunks(path: PathBuf, size: u64) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    // Opened at its turn, so that a large context has one file open at a time.
    stream::try_unfold((None, size), move |(open, left)| {
        let path = path.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let mut file = match open {
                Some(file) => file,
                None => tokio::fs::File::open(&path).await?.take(left),
            };
            let mut buffer = Vec::with_capacity(CHUNK);
            if file.read_buf(&mut buffer).await? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("{} shrank while it was read", path.display()),
                ));
            }
            let left = left - buffer.len() as u64;
            Ok(Some((Bytes::from(buffer), (Some(file), left))))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bytes(context: BuildContext) -> Vec<u8> {
        context.tar().map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap()
    }

    #[tokio::test]
    async fn the_tar_holds_the_files_and_nothing_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let (large, small) = (folder.path().join("large"), folder.path().join("small"));
        std::fs::write(&large, vec![7; CHUNK + 1]).unwrap();
        std::fs::write(&small, "FROM scratch\n").unwrap();
        let mut context = BuildContext::new("linux/amd64", &[]);
        context.add("docker/Dockerfile", &small, false).unwrap();
        context.add("api", &large, true).unwrap();

        let tar = bytes(context).await;
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
            seen.push((entry.path().unwrap().display().to_string(), header.size().unwrap(), header.mode().unwrap()));
        }
        let size = CHUNK as u64 + 1;
        assert_eq!(seen, [("api".to_owned(), size, 0o755), ("docker/Dockerfile".to_owned(), 13, 0o644)]);
    }

    #[tokio::test]
    async fn a_large_file_passes_in_small_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large");
        let size = 64 * CHUNK as u64;
        std::fs::File::create(&large).unwrap().set_len(size).unwrap();
        let mut context = BuildContext::new("linux/amd64", &[]);
        context.add("api", &large, true).unwrap();
        let pieces: Vec<usize> = context.tar().map_ok(|piece| piece.len()).try_collect().await.unwrap();
        assert!(pieces.iter().all(|piece| *piece <= CHUNK), "{pieces:?}");
        assert_eq!(pieces.iter().sum::<usize>() as u64, size + 3 * BLOCK);
    }

    #[tokio::test]
    async fn the_tag_follows_content_platform_and_arguments_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "one").unwrap();
        let tag = async |platform, arguments: &[(&str, &str)]| {
            let mut context = BuildContext::new(platform, arguments);
            context.add("api", &file, true).unwrap();
            context.hash().await.unwrap()
        };
        let first = tag("linux/amd64", &[]).await;
        assert!(first.len() == 64 && first.bytes().all(|b| b.is_ascii_hexdigit()));
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert_eq!(tag("linux/amd64", &[]).await, first);
        assert_ne!(tag("linux/arm64", &[]).await, first);
        assert_ne!(tag("linux/amd64", &[("A", "b")]).await, first);
        std::fs::write(&file, "two").unwrap();
        assert_ne!(tag("linux/amd64", &[]).await, first);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        let mut context = BuildContext::new("linux/amd64", &[]);
        context.add("api", &file, true).unwrap();
        std::fs::write(&file, "1").unwrap();
        assert!(context.hash().await.unwrap_err().to_string().contains("shrank"));
    }
}
