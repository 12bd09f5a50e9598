//! What was learned, in the store: remembered, replaced, forgotten, and absent in older files.

use std::fs;

use ampgate::store::{Opened, Store};
use redb::{Database, TableDefinition};

use super::facts::{Model, learned, lease};

#[test]
fn what_was_learned_is_remembered_and_replaced() {
    let mut model = Model::default();
    let directory = tempfile::tempdir().expect("a directory");
    for text in ["[1]", "[1,2]"] {
        let Opened { store, .. } = Store::open(directory.path()).expect("it opens");
        let batch = vec![learned("pv", text), learned("load", "{}")];
        model.take(&batch);
        store.commit(batch);
        store.close().expect("it is written");
        let opened = Store::open(directory.path()).expect("it opens");
        assert_eq!(opened.remembered, model.remembered());
        assert_eq!(opened.remembered.learned.len(), 2);
        opened.store.close().expect("nothing is left");
    }
}

#[test]
fn what_is_forgotten_is_gone_from_the_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let Opened { store, .. } = Store::open(directory.path()).expect("it opens");
    store.commit(vec![learned("token/04a1", "{}"), learned("stay/000", "{}")]);
    store.commit(vec![learned("token/04a1", "")]);
    store.close().expect("it is written");
    let opened = Store::open(directory.path()).expect("it opens");
    assert_eq!(opened.remembered.learned[0].name, "stay/000");
    assert_eq!(opened.remembered.learned.len(), 1);
}

#[test]
fn a_store_from_before_anything_was_learned_opens_and_learns() {
    const LEARNED: TableDefinition<&str, &[u8]> = TableDefinition::new("learned");
    let directory = tempfile::tempdir().expect("a directory");
    let Opened { store, .. } = Store::open(directory.path()).expect("it opens");
    store.commit(vec![lease(1, 16)]);
    store.close().expect("it is written");
    for entry in fs::read_dir(directory.path()).expect("the data directory") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|kind| kind == "redb") {
            let before = Database::open(&path).expect("a store");
            let write = before.begin_write().expect("a transaction");
            assert!(write.delete_table(LEARNED).expect("it is there"), "{}", path.display());
            write.commit().expect("as an earlier version left it");
        }
    }
    let Opened { store, remembered, problems, .. } =
        Store::open(directory.path()).expect("it opens");
    assert_eq!((remembered.leases.len(), remembered.learned.len(), problems.len()), (1, 0, 0));
    store.commit(vec![learned("pv", "[1]")]);
    store.close().expect("it is written");
    let opened = Store::open(directory.path()).expect("it opens");
    assert_eq!(opened.remembered.learned.len(), 1);
}
