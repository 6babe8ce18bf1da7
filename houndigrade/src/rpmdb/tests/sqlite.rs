use super::build::{CENTOS, Header, RED_HAT, varint};
use super::read;
use crate::error::ReadError;
use crate::rpmdb::{Backend, read_file};

/// Writes a database: the schema on page 1, the root of `Packages` on page 2, leaves and long rows behind.
pub struct Database {
    page_bytes: usize,
    reserved: usize,
    pub pages: Vec<Vec<u8>>,
}

impl Database {
    pub fn new(page_bytes: usize, reserved: usize, headers: &[Vec<u8>]) -> Self {
        let mut database = Self { page_bytes, reserved, pages: vec![vec![0; page_bytes]; 2] };
        database.schema();
        let mut leaves = Vec::new();
        for (index, header) in headers.iter().enumerate() {
            let kind = varint(12 + 2 * header.len() as u64);
            let row = [&[2 + kind.len() as u8, 0][..], &kind, header].concat();
            let cell = database.cell(index as u64 + 1, &row);
            leaves.push(database.pages.len() as u32 + 1);
            let leaf = database.tree_page(0, 13, &[cell], None);
            database.pages.push(leaf);
        }
        database.root(&leaves);
        database
    }

    fn schema(&mut self) {
        let text = |value: &str| (varint(13 + 2 * value.len() as u64), value.as_bytes().to_vec());
        let row = |kind: &str, name: &str, root: u8| {
            let columns = [text(kind), text(name), text("Packages"), (vec![1], vec![root])];
            let kinds: Vec<u8> = columns.iter().flat_map(|column| column.0.clone()).collect();
            let values: Vec<u8> = columns.iter().flat_map(|column| column.1.clone()).collect();
            [&[kinds.len() as u8 + 1][..], &kinds, &values].concat()
        };
        let rows = [row("index", "Packages", 9), row("table", "Packages", 2), row("table", "Name", 7)];
        let cells: Vec<_> = rows.iter().enumerate().map(|(index, row)| self.cell(index as u64 + 1, row)).collect();
        self.pages[0] = self.tree_page(100, 13, &cells, None);
        self.pages[0][..16].copy_from_slice(b"SQLite format 3\0");
        self.pages[0][16..18].copy_from_slice(&(if self.page_bytes == 65_536 { 1 } else { self.page_bytes as u16 }).to_be_bytes());
        self.pages[0][20] = self.reserved as u8;
        self.pages[0][59] = 1;
    }

    /// Makes the root refer to these pages.
    pub fn root(&mut self, children: &[u32]) {
        let Some((last, others)) = children.split_last() else {
            self.pages[1] = self.tree_page(0, 13, &[], None);
            return;
        };
        let cells: Vec<_> = others.iter().map(|child| [&child.to_be_bytes()[..], &[1]].concat()).collect();
        self.pages[1] = self.tree_page(0, 5, &cells, Some(*last));
    }

    /// A row as it stands in a leaf; what does not fit is put on new pages.
    fn cell(&mut self, number: u64, row: &[u8]) -> Vec<u8> {
        let usable = self.page_bytes - self.reserved;
        let (most, least) = (usable - 35, (usable - 12) * 32 / 255 - 23);
        let mut cell = [varint(row.len() as u64), varint(number)].concat();
        if row.len() <= most {
            cell.extend(row);
            return cell;
        }
        let fitting = least + (row.len() - least) % (usable - 4);
        let (local, rest) = row.split_at(if fitting <= most { fitting } else { least });
        cell.extend(local);
        cell.extend((self.pages.len() as u32 + 1).to_be_bytes());
        let mut parts = rest.chunks(usable - 4).peekable();
        while let Some(part) = parts.next() {
            let next = if parts.peek().is_some() { self.pages.len() as u32 + 2 } else { 0 };
            let mut page = [&next.to_be_bytes()[..], part].concat();
            page.resize(self.page_bytes, 0);
            self.pages.push(page);
        }
        cell
    }

    fn tree_page(&self, head: usize, kind: u8, cells: &[Vec<u8>], last_child: Option<u32>) -> Vec<u8> {
        let mut page = vec![0; self.page_bytes];
        page[head] = kind;
        page[head + 3..head + 5].copy_from_slice(&(cells.len() as u16).to_be_bytes());
        let mut table = head + 8;
        if let Some(child) = last_child {
            page[table..table + 4].copy_from_slice(&child.to_be_bytes());
            table += 4;
        }
        let mut end = self.page_bytes - self.reserved;
        for (index, cell) in cells.iter().enumerate() {
            end -= cell.len();
            page[end..end + cell.len()].copy_from_slice(cell);
            page[table + 2 * index..table + 2 * index + 2].copy_from_slice(&(end as u16).to_be_bytes());
        }
        page
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.pages.concat()
    }

    /// A log of frames: page, its content, and for a commit the pages of the database.
    pub fn log(&self, frames: &[(u32, &[u8], u32)]) -> Vec<u8> {
        let mut sums = (0u32, 0u32);
        let mut add = |bytes: &[u8]| {
            for pair in bytes.as_chunks::<8>().0 {
                let word = |at: usize| u32::from_le_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
                sums.0 = sums.0.wrapping_add(word(0)).wrapping_add(sums.1);
                sums.1 = sums.1.wrapping_add(word(4)).wrapping_add(sums.0);
            }
            [sums.0.to_be_bytes(), sums.1.to_be_bytes()].concat()
        };
        let head: Vec<u8> = [0x377F_0682, 3_007_000, self.page_bytes as u32, 0, 11, 22].into_iter().flat_map(u32::to_be_bytes).collect();
        let mut log = [&head[..], &add(&head)].concat();
        for (page, content, commit) in frames {
            let numbers = [page.to_be_bytes(), commit.to_be_bytes()].concat();
            log.extend(&numbers);
            log.extend([11u32.to_be_bytes(), 22u32.to_be_bytes()].concat());
            add(&numbers);
            log.extend(add(content));
            log.extend(*content);
        }
        log
    }
}

fn headers() -> Vec<Vec<u8>> {
    let last = Header::signed("c", CENTOS).large(70_000).blob();
    vec![Header::package("a").blob(), Header::signed("b", RED_HAT).large(3000).blob(), last]
}

#[test]
fn every_size_of_pages_and_reserved_bytes_are_read() {
    for (page_bytes, reserved) in [(512, 0), (512, 32), (1024, 12), (4096, 0), (32_768, 255), (65_536, 0)] {
        let packages = read(Backend::Sqlite, &Database::new(page_bytes, reserved, &headers()).bytes());
        assert_eq!((packages.package_count, packages.unsigned, packages.red_hat_signed), (3, 1, 1), "{page_bytes} {reserved}");
        assert_eq!(packages.caveats, [""; 0], "{page_bytes} {reserved}");
    }
}

#[test]
fn a_database_without_packages_says_none() {
    let packages = read(Backend::Sqlite, &Database::new(512, 0, &[]).bytes());
    assert_eq!((packages.package_count, packages.caveats.len()), (0, 0));
}

#[test]
fn a_cycle_of_overflow_pages_ends_and_does_not_hide_the_other_packages() {
    let mut database = Database::new(512, 0, &headers());
    // Page 4 is the first of the long row of the second package.
    database.pages[4][..4].copy_from_slice(&4u32.to_be_bytes());
    let packages = read(Backend::Sqlite, &database.bytes());
    assert_eq!((packages.package_count, packages.damaged), (2, 1));
    assert!(packages.caveats[0].contains("used twice"), "{:?}", packages.caveats);
}

#[test]
fn pages_of_the_tree_that_lead_back_or_nowhere_are_damage() {
    let mut database = Database::new(512, 0, &headers()[..1]);
    database.root(&[2, 1, 3, 3, 0, u32::MAX]);
    let packages = read(Backend::Sqlite, &database.bytes());
    assert_eq!((packages.package_count, packages.damaged), (1, 5));
}

#[test]
fn a_tree_that_is_too_deep_ends() {
    let mut database = Database::new(512, 0, &headers()[..1]);
    for depth in 0..40 {
        let page = database.tree_page(0, 5, &[], Some(depth + 5));
        database.pages.push(page);
    }
    database.root(&[4]);
    let packages = read(Backend::Sqlite, &database.bytes());
    assert_eq!((packages.package_count, packages.damaged), (0, 1));
}

#[test]
fn rows_that_claim_too_much_or_lie_outside_their_page_are_damage() {
    let mut database = Database::new(512, 0, &headers()[..1]);
    let huge = [&[0xFF; 9][..], &[1]].concat();
    let long = [varint(60 << 20), vec![1]].concat();
    let leaf = database.tree_page(0, 13, &[huge, long], None);
    database.pages.push(leaf);
    let mut outside = database.tree_page(0, 13, &[vec![0; 4]], None);
    outside[8..10].copy_from_slice(&2u16.to_be_bytes());
    database.pages.push(outside);
    database.root(&[3, 4, 5]);
    let packages = read(Backend::Sqlite, &database.bytes());
    assert_eq!((packages.package_count, packages.damaged), (1, 3));
}

#[test]
fn rows_that_overlap_end_when_they_are_more_than_the_database() {
    let mut database = Database::new(65_536, 0, &[]);
    let header = Header::package("a").large(20_000).blob();
    let kind = varint(12 + 2 * header.len() as u64);
    let cell = [varint(header.len() as u64 + 2 + kind.len() as u64), vec![1, 2 + kind.len() as u8, 0], kind, header].concat();
    let mut leaf = database.tree_page(0, 13, &[cell], None);
    let at = [leaf[8], leaf[9]];
    leaf[3..5].copy_from_slice(&20_000u16.to_be_bytes());
    leaf[8..40_008].copy_from_slice(&at.repeat(20_000));
    database.pages[1] = leaf;
    let packages = read(Backend::Sqlite, &database.bytes());
    assert_eq!((packages.package_count, packages.damaged), (6, 1));
    assert!(packages.caveats[0].contains("larger than itself"), "{:?}", packages.caveats);
}

#[test]
fn damage_without_end_ends() {
    let mut database = Database::new(65_536, 0, &[]);
    let mut children = Vec::new();
    for _ in 0..8 {
        let mut leaf = vec![0; 65_536];
        leaf[0] = 13;
        leaf[3..5].copy_from_slice(&32_000u16.to_be_bytes());
        database.pages.push(leaf);
        children.push(database.pages.len() as u32);
    }
    database.root(&children);
    let packages = read(Backend::Sqlite, &database.bytes());
    assert_eq!((packages.package_count, packages.damaged), (0, 200_002));
    assert!(packages.caveats[0].contains("200000 packages; and so on"), "{:?}", packages.caveats);
}

#[test]
fn a_truncated_database_gives_what_is_left_of_it() {
    let whole = Database::new(512, 0, &headers()).bytes();
    let packages = read(Backend::Sqlite, &whole[..whole.len() / 2].to_vec());
    assert_eq!((packages.package_count, packages.damaged), (2, 1));
}

#[test]
fn heads_that_are_none_or_not_supported_are_errors() {
    let with = |at: usize, value: &[u8]| {
        let mut bytes = Database::new(512, 0, &[]).bytes();
        bytes[at..at + value.len()].copy_from_slice(value);
        read_file(Backend::Sqlite, &bytes, None).unwrap_err()
    };
    assert!(matches!(with(0, b"SQLite format 4"), ReadError::Corrupt { .. }));
    assert!(matches!(with(16, &[0, 0]), ReadError::Corrupt { .. }));
    assert!(matches!(with(16, &[3, 0]), ReadError::Corrupt { .. }));
    assert!(matches!(with(20, &[255]), ReadError::Corrupt { .. }));
    assert!(matches!(with(56, &[0, 0, 0, 2]), ReadError::Unsupported { .. }));
    assert!(matches!(with(100, &[10]), ReadError::Corrupt { .. }));
}

/// A database of one package, and the log that makes it two.
fn with_log() -> (Database, Vec<Vec<u8>>) {
    let old = Database::new(512, 0, &[Header::package("a").blob()]);
    let new = Database::new(512, 0, &[Header::package("a").blob(), Header::signed("b", RED_HAT).blob()]);
    (old, new.pages)
}

#[test]
fn committed_pages_of_the_log_hold_and_others_do_not() {
    let (old, new) = with_log();
    let count = |log: Vec<u8>| read_file(Backend::Sqlite, &old.bytes(), Some(&log)).unwrap().package_count;
    let garbage = [0xFF; 512];
    assert_eq!(count(old.log(&[(4, &new[3], 0), (2, &new[1], 4)])), 2);
    assert_eq!(count(old.log(&[(4, &garbage, 0), (4, &new[3], 0), (2, &new[1], 4)])), 2);
    assert_eq!(count(old.log(&[(4, &new[3], 0), (2, &new[1], 4), (2, &garbage, 0)])), 2);
    assert_eq!(count(old.log(&[(4, &new[3], 0), (2, &new[1], 0)])), 1);
    assert_eq!(count(Vec::new()), 1);
}

#[test]
fn a_log_ends_where_its_checksum_or_salt_does_not_hold() {
    let (old, new) = with_log();
    let frame = 24 + 512;
    let whole = old.log(&[(4, &new[3], 4), (2, &new[1], 4)]);
    let broken = |at: usize| {
        let mut log = whole.clone();
        log[at] ^= 1;
        read_file(Backend::Sqlite, &old.bytes(), Some(&log)).unwrap()
    };
    let of_content = broken(32 + frame + 100);
    assert_eq!((of_content.package_count, of_content.caveats.len()), (1, 1), "{:?}", of_content.caveats);
    // Frames of an older use of the log are behind it in every log that was used twice.
    let of_salt = broken(32 + frame + 8);
    assert_eq!((of_salt.package_count, of_salt.caveats.len()), (1, 0), "{:?}", of_salt.caveats);
    let of_head = broken(20);
    assert_eq!((of_head.package_count, of_head.caveats.len()), (1, 1), "{:?}", of_head.caveats);
}

#[test]
fn a_log_with_other_pages_or_too_many_of_them_is_told_and_not_taken_into_account() {
    let (old, new) = with_log();
    let of_other_size = Database::new(1024, 0, &[]).log(&[(1, &[0; 1024], 1)]);
    for log in [of_other_size, old.log(&[(4, &new[3], 0), (2, &new[1], u32::MAX)])] {
        let packages = read_file(Backend::Sqlite, &old.bytes(), Some(&log)).unwrap();
        assert_eq!((packages.package_count, packages.caveats.len()), (1, 1), "{:?}", packages.caveats);
    }
}
