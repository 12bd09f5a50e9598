//! A daemon that is killed with SIGKILL. In a test of its own: a process that is being spawned
//! holds the locks of its parent for a moment, which another test would take for a store in use.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "daemon/charger.rs"]
mod charger;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ampgate::ground::time::Duration;
use ampgate::store::Store;
use charger::Charger;

/// A site of one charge point.
fn text(port: u16) -> String {
    format!(
        "[site]\nname = \"Test yard\"\ntime_zone = \"Europe/Paris\"\n\
         [listen]\nocpp = \"127.0.0.1:{port}\"\n[access]\nanyone = true\n\
         [[node]]\nid = \"grid\"\nname = \"IBST\"\nrating_a = 63\nworst_case_load_a = 0\n\
         [[evse]]\nid = \"EVSE-01\"\nnode = \"grid\"\ncharge_point = \"CP-01\"\n\
         phases = \"L1L2L3\"\nrated_a = 32\nsafe_a = 6\n"
    )
}

/// A daemon in a process of its own; killed with its handle.
struct Process(Child);

impl Process {
    fn spawn(dir: &Path, port: u16) -> Self {
        let config = dir.join("site.toml");
        std::fs::write(&config, text(port)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ampgate"));
        command.arg("run").arg("--config").arg(config).arg("--data").arg(dir.join("data"));
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self(child)
    }

    /// SIGKILL: nothing is flushed, nothing is closed.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its end may have come already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The moment an answer with a transaction id is read, the process is killed: the id is on disk,
/// and the next run never gives it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transaction_id_leaves_before_it_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut given: Vec<i64> = Vec::new();
    for round in 0..5 {
        let process = Process::spawn(dir.path(), port);
        let mut charger = Charger::connect(address, "CP-01").await;
        charger.boot().await;
        // Two starts of one connector in one second would be taken for one, repeated.
        let time = charger::present() - Duration::seconds(20 - 2 * round);
        let id = charger.start_of(time, 1000 * (round + 1)).await;
        process.kill();
        let opened = Store::open(&dir.path().join("data")).unwrap();
        assert!(opened.remembered.transactions.iter().any(|known| known.id.0 == id));
        assert!(given.iter().all(|earlier| *earlier < id), "{id} after {given:?}");
        given.push(id);
    }
}
