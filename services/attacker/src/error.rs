//! Why an attack proves nothing.

/// The attack could not be carried out: nothing is proven, neither good nor bad.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// The address is none. Exit 2.
    #[error("`{0}` is no address of a collector; give one such as http://127.0.0.1:50051")]
    Target(String),
    /// The broker's address is none. Exit 2.
    #[error("`{0}` is no address of a broker; give HOST:PORT")]
    Broker(String),
    /// Nobody answers, or no longer.
    #[error("the collector at `{target}` does not answer")]
    Unreachable {
        /// Where it should be.
        target: String,
        /// What came instead.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An honest grant or batch was not taken, so refusals say nothing. Give the policy that the
    /// collector offers, or look at its log.
    #[error("what is honest was not taken ({what}: `{answer}`), so a refusal says nothing")]
    NoBaseline {
        /// What was said.
        what: &'static str,
        /// What came back.
        answer: String,
    },
    /// The system gives no random bytes.
    #[error("no key can be drawn")]
    Entropy(#[from] imprimatur_runtime::entropy::NoEntropy),
    /// It was told to stop. What it had said was erased.
    #[error("stopped before the end; what was said is erased")]
    Stopped,
}
