//! A real Redis or Valkey of a test's own.
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "only tests use it: one that fails should panic, one that is skipped says so"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::redis::{Client, Connection, cmd};

/// Redis or Valkey, as Debian packages them. On CI nothing is skipped.
fn binary() -> Option<PathBuf> {
    let directories: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let found = ["redis-server", "valkey-server"].iter().find_map(|name| {
        directories.iter().map(|directory| directory.join(name)).find(|file| file.is_file())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no Redis: run scripts/debian-packages.sh");
        eprintln!("skipped: no Redis on PATH (Debian: apt-get install redis-server)");
    }
    found
}

/// A server that keeps what it acknowledged; dropping it kills it.
pub struct Redis {
    binary: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Redis {
    /// `None` where there is none to start.
    pub fn start() -> Option<Redis> {
        let binary = binary()?;
        let directory = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let child = launch(&binary, directory.path(), port);
        let server = Redis { binary, directory, port, child };
        server.connect();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// A connection, as soon as it answers.
    pub fn connect(&self) -> Connection {
        let client = Client::open(self.url()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(mut connection) = client.get_connection()
                && cmd("PING").exec(&mut connection).is_ok()
            {
                return connection;
            }
            assert!(Instant::now() < deadline, "Redis does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        crate::process::signal(self.child.id(), name).unwrap();
    }

    pub fn restart(&mut self) {
        self.child = launch(&self.binary, self.directory.path(), self.port);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(binary: &Path, directory: &Path, port: u16) -> Child {
    Command::new(binary)
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .arg("--dir")
        .arg(directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
