//! Pages are sent compressed, and never late: with little effort at once, and as small as can be by a thread of its own when it comes to that.
//!
//! Brotli with all its effort costs 40 ms of a core for a page of 45 kB, with little of it one; what is saved by that is a tenth. A page changes as often as people come to the stage, so
//! what is replaced meanwhile is never finished.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use brotli::enc::StandardAlloc;
use brotli::enc::backward_references::BrotliEncoderMode;
use brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderStateStruct};
use bytes::Bytes;
use hiwar_engine::live_bus::{Document, Down, Publisher};

/// How much is done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A millisecond or two.
    Little,
    /// Some tens.
    All,
}

/// After its work the thread rests for so many times what that took: at most a quarter of a core goes into smaller pages.
const REST: u32 = 3;
/// A window of 256 kB: no page of ours is as long.
const WINDOW_LOG: i32 = 18;

/// A text in `br` coding (RFC 7932). `None` if that is not smaller.
pub(crate) fn brotli(text: &[u8], effort: Effort) -> Option<Bytes> {
    let mut encoder = BrotliEncoderStateStruct::new(StandardAlloc::default());
    encoder.params.quality = if effort == Effort::All { 11 } else { 5 };
    encoder.params.mode = BrotliEncoderMode::BROTLI_MODE_TEXT;
    encoder.params.lgwin = WINDOW_LOG;
    encoder.params.size_hint = text.len();
    let mut small = vec![0; text.len()];
    let (mut left, mut read, mut room, mut written) = (text.len(), 0, small.len(), 0);
    let is_done = encoder.compress_stream(
        BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        &mut left,
        text,
        &mut read,
        &mut room,
        &mut small,
        &mut written,
        &mut None,
        &mut |_, _, _, _| (),
    ) && encoder.is_finished();
    small.truncate(written);
    is_done.then(|| small.into())
}

/// Gives workers pages, and makes them smaller afterwards.
pub(super) struct Press {
    publisher: Publisher,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    is_more: Condvar,
}

#[derive(Default)]
struct Work {
    /// Of each path the last, in the order in which they came.
    waiting: VecDeque<(String, Document)>,
    /// What is being made smaller; nothing if it has been replaced meanwhile.
    pressing: Option<String>,
    is_over: bool,
}

impl Press {
    /// # Errors
    /// There is no thread.
    pub(super) fn start(publisher: Publisher) -> io::Result<Self> {
        let (shared, to) = (Arc::<Shared>::default(), publisher.clone());
        let here = shared.clone();
        std::thread::Builder::new().name("press".into()).spawn(move || here.run(&to))?;
        Ok(Self { publisher, shared })
    }

    /// Gives the workers a page to serve, or takes it back. As it is from here on: what was begun with an older one is left.
    pub(super) fn put(&self, path: String, document: Option<Document>) {
        let mut work = self.shared.lock();
        work.waiting.retain(|(other, _)| *other != path);
        work.pressing.take_if(|other| *other == path);
        // Under the lock, or what is older and smaller could come after it.
        self.publisher.publish(match &document {
            Some(document) => Down::Document { path: path.clone(), document: document.clone() },
            None => Down::Forget { path: path.clone() },
        });
        if let Some(document) = document {
            work.waiting.push_back((path, document));
            self.shared.is_more.notify_one();
        }
    }
}

impl Drop for Press {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.is_more.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, publisher: &Publisher) {
        loop {
            let mut work = self.lock();
            let (path, document) = loop {
                if work.is_over {
                    return;
                }
                if let Some(next) = work.waiting.pop_front() {
                    break next;
                }
                work = self.is_more.wait(work).unwrap_or_else(PoisonError::into_inner);
            };
            work.pressing = Some(path.clone());
            drop(work);
            let began = Instant::now();
            let small = brotli(&document.body, Effort::All);
            let took = began.elapsed();
            let mut work = self.lock();
            if work.pressing.take().is_some()
                && let Some(small) = small
            {
                publisher.publish(Down::Document { path, document: pressed(document, small) });
            }
            // Rests, unless it is over meanwhile.
            drop(self.is_more.wait_timeout_while(work, took * REST, |work| !work.is_over));
        }
    }
}

/// Under another tag: a strong one names these bytes (RFC 9110 §8.8.3).
fn pressed(document: Document, small: Bytes) -> Document {
    let etag = format!("\"{}-p\"", document.etag.trim_matches('"'));
    Document { etag, brotli: Some(small), ..document }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(small: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        brotli::BrotliDecompress(&mut &small[..], &mut text).expect("brotli");
        text
    }

    #[test]
    fn what_is_compressed_is_the_same_text_and_more_effort_makes_it_smaller() {
        let text = include_str!("press.rs").repeat(3);
        let [little, all] =
            [Effort::Little, Effort::All].map(|effort| brotli(text.as_bytes(), effort).expect("smaller"));
        assert!(read(&little) == text.as_bytes() && read(&all) == text.as_bytes());
        assert!(all.len() < little.len() && little.len() < text.len() / 4, "{} {}", all.len(), little.len());
    }

    #[test]
    fn what_would_not_be_smaller_is_left_as_it_is() {
        for text in [&b""[..], b"a", b"Hiwar"] {
            for effort in [Effort::Little, Effort::All] {
                assert_eq!(brotli(text, effort), None);
            }
        }
    }
}
