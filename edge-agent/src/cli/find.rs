//! `sources --find`: what the agent could read here, and what to write for it.
//!
//! Needs no settings, no store and no running agent, and leaves nothing behind.

use std::io::{self, Write};

use super::{Failure, Output, printed};
use crate::sources::find::{self, Found, Look};
use crate::sources::settings::{Address, SettingsError};

/// Addresses of one command.
pub(super) const ADDRESSES_MAX: usize = 64;

/// What is said of an address that is no program the agent knows.
const UNKNOWN: &str = "something answers that cannot be told without a key";

/// What is said of an address where nobody is.
const SILENT: &str = "no answer: is it switched on";

/// An address as a person types it: `http://` may be left out.
pub(super) fn address(text: &str) -> Result<Address, SettingsError> {
    if text.contains("://") {
        Address::parse(text)
    } else {
        Address::parse(&format!("http://{text}"))
    }
}

/// Looks on this host, or at the addresses.
pub(super) fn run(addresses: &[Address], output: Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unreachable(error.to_string()))?;
    let (found, others) = runtime.block_on(async {
        if addresses.is_empty() {
            return (find::here().await, Vec::new());
        }
        let (mut found, mut others) = (Vec::new(), Vec::new());
        for (address, look) in addresses.iter().zip(find::at(addresses).await) {
            match look {
                Look::Found(one) => found.push(one),
                Look::Unknown => others.push((address, UNKNOWN)),
                Look::Silent => others.push((address, SILENT)),
            }
        }
        (found, others)
    });
    let mut to = io::stdout().lock();
    let told = if output.json {
        serde_json::to_string_pretty(&found)
            .map_err(io::Error::from)
            .and_then(|text| writeln!(to, "{text}"))
    } else {
        as_text(&mut to, &found, &others)
    };
    printed(told.and_then(|()| to.flush()))
}

fn as_text(to: &mut impl Write, found: &[Found], others: &[(&Address, &str)]) -> io::Result<()> {
    for one in found {
        writeln!(to, "{} at {}", one.kind.name(), one.address)?;
        writeln!(to, "{}\n\n{}", one.credential, one.settings)?;
    }
    for (address, why) in others {
        writeln!(to, "{address}: {why}")?;
    }
    if found.is_empty() && others.is_empty() {
        writeln!(
            to,
            "Nothing was found: no printer program answers on this host, and no serial port looks like \
             a printer's board. Name an address: imprimatur-agent sources --find ADDRESS"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_typed_without_its_scheme() {
        for (typed, expected) in [
            ("octopi.local", "http://octopi.local/"),
            ("192.168.1.20:5000", "http://192.168.1.20:5000/"),
            ("http://192.168.1.20/octoprint", "http://192.168.1.20/octoprint/"),
            ("[fe80::1]:80", "http://[fe80::1]/"),
        ] {
            assert_eq!(address(typed).unwrap().to_string(), expected);
        }
        for (typed, expected) in [
            ("https://octopi.local", SettingsError::Tls),
            ("8.8.8.8", SettingsError::NotLocal),
            ("http://key@octopi.local", SettingsError::AddressParts),
            ("192.168.1.0/24?", SettingsError::AddressParts),
            ("", SettingsError::Address),
        ] {
            assert_eq!(address(typed).unwrap_err(), expected, "{typed}");
        }
    }
}
