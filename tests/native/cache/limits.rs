//! More connections than there is room for.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use anyhow::Result;
use http::Request;

use pointsman_testkit::client::{self, Protocol};
use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, outcome};

fn begin(address: SocketAddr, bytes: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(bytes)?;
    Ok(stream)
}

#[test]
fn idle_connections_give_way_and_keep_nobody_out() -> Result<()> {
    let model = Model::start()?;
    // 64 descriptors, for two addresses.
    let before = ["-c", "ulimit -n 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pointsman")];
    let proxy = Proxy::run(Path::new("sh"), &before, model.address, "cheap", &["--anonymous"])?;
    let mut idle = Vec::new();
    for number in 0..40 {
        let asks: &[u8] = match number % 2 {
            0 => b"",
            _ => b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        };
        idle.push(begin(proxy.address, asks)?);
        idle.push(begin(proxy.admin, asks)?);
    }
    for address in [proxy.address, proxy.admin] {
        let request = Request::get("/healthz").body(client::empty())?;
        assert_eq!(client::exchange(address, Protocol::Http1, request)?.status, 200);
    }
    assert_eq!(outcome(&proxy.ask("What is love?")?), "miss");
    assert_eq!(outcome(&proxy.ask("What is love?")?), "hit-exact");
    drop(idle);
    Ok(())
}
