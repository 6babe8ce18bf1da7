//! A disk in memory that remembers every operation, so that any crash can be replayed, and that can fail.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// What survives a power cut in one piece, in bytes.
const SECTOR: usize = 512;

/// One operation on the disk.
#[derive(Clone, Debug)]
pub enum Op {
    Write { at: usize, bytes: Arc<[u8]> },
    SetLen(usize),
    Sync,
}

#[derive(Debug, Default)]
struct Inner {
    content: Vec<u8>,
    ops: Vec<Op>,
    /// Once there are this many operations, all further ones fail with this kind.
    fails: Option<(usize, ErrorKind)>,
}

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    pub fn holding(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner { content, ..Inner::default() })))
    }

    /// What a process that opens the disk now would find.
    pub fn content(&self) -> Vec<u8> {
        self.0.lock().unwrap().content.clone()
    }

    pub fn ops(&self) -> Vec<Op> {
        self.0.lock().unwrap().ops.clone()
    }

    pub fn op_count(&self) -> usize {
        self.0.lock().unwrap().ops.len()
    }

    /// Lets all operations but reads fail, from the given one on.
    pub fn fail_from(&self, op: usize, kind: ErrorKind) {
        self.0.lock().unwrap().fails = Some((op, kind));
    }

    fn run(&self, op: Op) -> Result<(), Error> {
        let mut inner = self.0.lock().unwrap();
        if let Some((from, kind)) = inner.fails
            && inner.ops.len() >= from
        {
            return Err(kind.into());
        }
        apply(&mut inner.content, &op);
        inner.ops.push(op);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.0.lock().unwrap().content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let inner = self.0.lock().unwrap();
        let at = offset as usize;
        let stored = inner.content.get(at..at + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(stored);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.run(Op::SetLen(len as usize))
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.run(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.run(Op::Write { at: offset as usize, bytes: data.into() })
    }
}

fn apply(content: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write { at, bytes } => write(content, *at, bytes),
        Op::SetLen(len) => content.resize(*len, 0),
        Op::Sync => {}
    }
}

fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// What a crash leaves of operations that were not synced.
#[derive(Clone, Copy, Debug)]
pub enum Unsynced {
    /// All: the process was killed, the system lives.
    All,
    /// All but the second half of the last write.
    LastTorn,
    /// None: a power cut before anything reached the disk.
    None,
    /// Some, chosen by this seed, sector by sector: a power cut while they were on their way, in any order.
    Some(u64),
}

/// The disk's content after a crash behind the first operations. `synced` is the content at the last sync among them, and the number
/// of operations up to it.
pub fn crash_image(synced: (&[u8], usize), ops: &[Op], unsynced: Unsynced) -> Vec<u8> {
    let mut content = synced.0.to_vec();
    let pending = &ops[synced.1..];
    let mut dice = match unsynced {
        Unsynced::Some(seed) => seed,
        _ => 0,
    };
    for (index, op) in pending.iter().enumerate() {
        match (unsynced, op) {
            (Unsynced::None, _) => {}
            (Unsynced::LastTorn, Op::Write { at, bytes }) if index + 1 == pending.len() => {
                write(&mut content, *at, &bytes[..bytes.len() / 2])
            }
            (Unsynced::Some(_), Op::Write { at, bytes }) => {
                for (sector, bytes) in bytes.chunks(SECTOR).enumerate() {
                    if flip(&mut dice) {
                        write(&mut content, at + sector * SECTOR, bytes);
                    }
                }
            }
            (Unsynced::Some(_), op) => {
                if flip(&mut dice) {
                    apply(&mut content, op);
                }
            }
            (_, op) => apply(&mut content, op),
        }
    }
    content
}

fn flip(dice: &mut u64) -> bool {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *dice >> 63 == 1
}
