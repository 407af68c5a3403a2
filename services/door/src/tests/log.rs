//! The access log tells what happened, and nothing of what was asked.

use std::io;
use std::sync::{Arc, Mutex};

use super::world::World;
use crate::Role;

/// All that was logged.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

const CANARY: &str = "canary_7f3a";

// One thread does it all, so that one subscriber hears it all.
#[tokio::test]
async fn no_line_has_a_question_a_token_or_an_address() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let heard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let engineer = world.token(Role::Engineer);
    for target in [
        format!("/v1/answers/print_count?by={CANARY}"),
        format!("/v1/answers/print_count?where=outcome={CANARY}"),
        format!("/v1/answers/print_count?{CANARY}=1"),
        format!("/v1/answers/{CANARY}"),
        format!("/{CANARY}"),
        "/v1/answers/print_count?where=material_family=tpu".to_owned(),
        "/v1/answers/print_count".to_owned(),
    ] {
        world.get(&target, &engineer).await;
        world.get(&target, &format!("imq_{CANARY}")).await;
    }
    let own = |text: &str| -> String {
        // Libraries are not written at these levels by `runtime::logs`; their lines are no access log.
        let lines = text.lines().filter(|line| line.contains("imprimatur"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let text = own(&written.text());
    let line =
        "answered route=\"/v1/answers/{metric}\" status=200 role=\"engineer\" milliseconds=0";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("route=\"other\" status=404"), "{text}");
    assert!(text.contains("code=\"below_threshold\""), "{text}");
    for secret in [CANARY, "tpu", engineer.trim_start_matches("imq_"), "imq_", "127.0.0.1"] {
        assert!(!text.contains(secret), "`{secret}` is in the log:\n{text}");
    }
    // The same search finds it in a line that tells.
    tracing::info!(query = CANARY, "a leak");
    assert!(own(&written.text()).contains(CANARY));
    drop(heard);
}
