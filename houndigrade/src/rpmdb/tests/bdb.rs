use super::build::{CENTOS, Header, RED_HAT};
use super::read;
use crate::error::ReadError;
use crate::rpmdb::fields::Order;
use crate::rpmdb::{Backend, read_file};

const PAGE: usize = 1024;
const HEAD: usize = 26;

/// Writes a database of two buckets.
pub struct Table {
    order: Order,
    pub pages: Vec<Vec<u8>>,
}

impl Table {
    pub fn new(order: Order, version: u32) -> Self {
        let mut table = Self { order, pages: vec![vec![0; PAGE]; 3] };
        let last_bucket = 1;
        for (at, value) in [(12, 0x0006_1561), (16, version), (20, PAGE as u32), (72, last_bucket), (96, 1), (100, 1)] {
            table.set_u32(0, at, value);
        }
        table.pages[0][25] = 8;
        table.pages[1][25] = 13;
        table.pages[2][25] = 2;
        table.record(1, &[1, 0, 0, 0, 0], &[1, 9, 0, 0, 0]);
        table
    }

    pub fn set_u32(&mut self, page: usize, at: usize, value: u32) {
        let bytes = match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        };
        self.pages[page][at..at + 4].copy_from_slice(&bytes);
    }

    fn set_u16(&mut self, page: usize, at: usize, value: usize) {
        let bytes = match self.order {
            Order::Little => (value as u16).to_le_bytes(),
            Order::Big => (value as u16).to_be_bytes(),
        };
        self.pages[page][at..at + 2].copy_from_slice(&bytes);
    }

    fn item(&mut self, page: usize, item: &[u8]) {
        let items = usize::from(self.order.u16(&self.pages[page], 20).unwrap());
        let end = match items {
            0 => PAGE,
            items => usize::from(self.order.u16(&self.pages[page], HEAD + 2 * (items - 1)).unwrap()),
        };
        self.pages[page][end - item.len()..end].copy_from_slice(item);
        self.set_u16(page, HEAD + 2 * items, end - item.len());
        self.set_u16(page, 20, items + 1);
    }

    fn record(&mut self, page: usize, key: &[u8], data: &[u8]) {
        self.item(page, key);
        self.item(page, data);
    }

    /// Adds a header to a page: in it if it is short, else in a chain, whose first page is returned.
    pub fn add(&mut self, page: usize, key: u8, header: &[u8]) -> usize {
        let first = self.pages.len();
        if header.len() < 200 {
            self.record(page, &[1, key, 0, 0, 0], &[&[1], header].concat());
            return first;
        }
        let parts: Vec<_> = header.chunks(PAGE - HEAD).collect();
        for (index, part) in parts.iter().enumerate() {
            let number = self.pages.len();
            self.pages.push(vec![0; PAGE]);
            self.pages[number][25] = 7;
            self.pages[number][HEAD..HEAD + part.len()].copy_from_slice(part);
            self.set_u16(number, 22, part.len());
            if index + 1 < parts.len() {
                self.set_u32(number, 16, number as u32 + 1);
            }
        }
        self.refer(page, key, first as u32, header.len() as u32);
        first
    }

    /// Adds a record that refers to a chain.
    pub fn refer(&mut self, page: usize, key: u8, first: u32, bytes: u32) {
        let word = |value: u32| match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        };
        let item = [&[3, 0, 0, 0][..], &word(first), &word(bytes)].concat();
        self.record(page, &[1, key, 0, 0, 0], &item);
    }

    pub fn database(&self) -> Vec<u8> {
        self.pages.concat()
    }
}

/// Three packages: one in a page, two in chains.
pub fn table(order: Order, version: u32) -> Table {
    let mut table = Table::new(order, version);
    table.add(1, 1, &Header::package("a").blob());
    table.add(1, 2, &Header::signed("b", RED_HAT).large(3000).blob());
    table.add(2, 3, &Header::signed("c", CENTOS).large(500).blob());
    table
}

#[test]
fn both_versions_in_both_byte_orders_are_read_without_the_record_of_numbers() {
    for (order, version) in [(Order::Little, 8), (Order::Little, 9), (Order::Big, 8), (Order::Big, 9)] {
        let packages = read(Backend::Bdb, &table(order, version).database());
        assert_eq!((packages.package_count, packages.unsigned, packages.red_hat_signed), (3, 1, 1), "{order:?} {version}");
        assert_eq!((packages.damaged, packages.caveats.len()), (0, 0), "{order:?} {version}");
    }
}

#[test]
fn further_pages_of_a_bucket_are_read() {
    let mut table = table(Order::Little, 9);
    let further = table.pages.len();
    table.pages.push(vec![0; PAGE]);
    table.pages[further][25] = 13;
    table.set_u32(2, 16, further as u32);
    table.add(further, 4, &Header::package("d").blob());
    assert_eq!(read(Backend::Bdb, &table.database()).package_count, 4);
}

#[test]
fn a_cycle_of_overflow_pages_ends_and_does_not_hide_the_other_packages() {
    let mut table = table(Order::Little, 9);
    let first = table.add(2, 4, &Header::package("d").large(3000).blob());
    table.set_u32(first + 1, 16, first as u32);
    let packages = read(Backend::Bdb, &table.database());
    assert_eq!((packages.package_count, packages.damaged), (3, 1));
    assert!(packages.caveats[0].contains("used twice"), "{:?}", packages.caveats);
}

#[test]
fn a_cycle_of_a_buckets_pages_ends() {
    let mut table = table(Order::Little, 9);
    table.set_u32(2, 16, 1);
    let packages = read(Backend::Bdb, &table.database());
    assert_eq!((packages.package_count, packages.damaged), (3, 1));
}

#[test]
fn chains_that_are_longer_or_shorter_than_said_or_lead_nowhere_are_damage() {
    let mut table = table(Order::Little, 9);
    let first = table.add(2, 4, &Header::package("d").large(3000).blob()) as u32;
    for (key, page, bytes) in [(5, first, 100), (6, 9_999, 100), (7, u32::MAX, u32::MAX), (8, 0, 10), (9, 1, 10)] {
        table.refer(2, key, page, bytes);
    }
    let packages = read(Backend::Bdb, &table.database());
    assert_eq!((packages.package_count, packages.damaged), (4, 5));
}

#[test]
fn items_outside_their_page_are_damage() {
    let mut table = table(Order::Little, 9);
    table.set_u16(1, HEAD + 4, PAGE + 1);
    table.set_u16(2, 20, 60_000);
    let packages = read(Backend::Bdb, &table.database());
    assert_eq!((packages.package_count, packages.damaged), (0, 2));
}

#[test]
fn a_truncated_database_gives_what_is_left_of_it() {
    let whole = table(Order::Little, 9).database();
    let packages = read(Backend::Bdb, &whole[..whole.len() - PAGE].to_vec());
    assert_eq!((packages.package_count, packages.damaged), (2, 1));
    assert!(read_file(Backend::Bdb, &whole[..500].to_vec(), None).is_err());
}

#[test]
fn first_pages_that_are_none_or_promise_too_much_are_errors() {
    let with = |at: usize, value: u32| {
        let mut table = table(Order::Little, 9);
        table.set_u32(0, at, value);
        read_file(Backend::Bdb, &table.database(), None).unwrap_err()
    };
    assert!(matches!(with(12, 0x0005_3162), ReadError::Corrupt { .. }));
    assert!(matches!(with(16, 10), ReadError::Unsupported { .. }));
    assert!(matches!(with(20, 0), ReadError::Corrupt { .. }));
    assert!(matches!(with(20, 1 << 31), ReadError::Corrupt { .. }));
    assert!(matches!(with(24, 1), ReadError::Unsupported { .. }));
    assert!(matches!(with(72, u32::MAX), ReadError::Corrupt { .. }));
}
