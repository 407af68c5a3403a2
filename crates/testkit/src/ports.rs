//! Free loopback ports for peers that must be told their port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A TCP port that nobody listened on a moment ago, on 127.0.0.1.
///
/// # Errors
/// When the kernel has no port left.
pub fn free() -> io::Result<u16> {
    Ok(TcpListener::bind(loopback(0))?.local_addr()?.port())
}

/// The address of `port` on 127.0.0.1.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound() {
        let port = free().unwrap();
        let _bound = TcpListener::bind(loopback(port)).unwrap();
    }

    #[test]
    fn a_port_in_use_is_not_given_out() {
        let held = TcpListener::bind(loopback(0)).unwrap();
        let taken = held.local_addr().unwrap().port();
        for _ in 0..100 {
            assert_ne!(free().unwrap(), taken);
        }
    }
}
