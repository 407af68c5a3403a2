//! The log as files: written, read, cut short, forged, and checked by programs of others.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod forgery;
#[cfg(test)]
mod others;
#[cfg(test)]
mod python;
#[cfg(test)]
mod support;
