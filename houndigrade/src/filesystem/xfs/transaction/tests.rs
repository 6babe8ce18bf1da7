//! Transactions whose operations are made here, not read from a log.

use super::*;

const NUMBER: u32 = 5;

fn started() -> Transactions {
    let mut transactions = Transactions::default();
    transactions.operation(NUMBER, START, &[]).unwrap();
    let header = [HEADER_MAGIC, 40, 1, 1].map(u32::to_le_bytes).concat();
    transactions.operation(NUMBER, 0, &header).unwrap();
    transactions
}

/// A region that begins an item of so many.
fn first(regions: u16, bytes: usize) -> Vec<u8> {
    let mut region = [0x123c, regions].map(u16::to_le_bytes).concat();
    region.resize(bytes, 0);
    region
}

#[test]
fn a_header_may_be_in_pieces() {
    let header = [HEADER_MAGIC, 40, 1, 1].map(u32::to_le_bytes).concat();
    let mut transactions = Transactions::default();
    transactions.operation(NUMBER, START, &[]).unwrap();
    transactions.operation(NUMBER, CONTINUES, &header[..6]).unwrap();
    transactions.operation(NUMBER, CONTINUED | END, &header[6..]).unwrap();
    transactions.operation(NUMBER, 0, &first(1, 30)).unwrap();
    let transaction = transactions.operation(NUMBER, COMMIT, &[]).unwrap().unwrap();
    let items: Vec<_> = transaction.items().collect();
    assert_eq!((items.len(), items[0].kind(), items[0].description().len()), (1, 0x123c, 30));
}

#[test]
fn regions_are_put_to_the_items_that_ask_for_them() {
    let mut transactions = started();
    for (flags, region) in
        [(0, first(3, 8)), (0, vec![1; 9]), (CONTINUES, vec![2; 3]), (CONTINUED, vec![3; 4]), (0, first(1, 4)), (END, vec![])]
    {
        transactions.operation(NUMBER, flags, &region).unwrap();
    }
    let transaction = transactions.operation(NUMBER, COMMIT, &[]).unwrap().unwrap();
    let items: Vec<Vec<Vec<u8>>> = transaction.items().map(|item| item.regions().map(<[u8]>::to_vec).collect()).collect();
    assert_eq!(items, [vec![first(3, 8), vec![1; 9], vec![2, 2, 2, 3, 3, 3, 3]], vec![first(1, 4)]]);
}

#[test]
fn what_is_held_ends_with_the_commit_and_has_a_limit() {
    let mut transactions = started();
    transactions.operation(NUMBER, 0, &first(1, 1000)).unwrap();
    assert!(transactions.held_bytes > 1000);
    transactions.operation(NUMBER, COMMIT, &[]).unwrap();
    assert_eq!(transactions.held_bytes, 0);
    let held = (1..).take_while(|number| transactions.operation(*number, START, &[]).is_ok()).count();
    assert_eq!(held, XFS_TRANSACTIONS_BYTES_MAX / OPEN_OVERHEAD_BYTES);
}
