//! The state in which the owner's requests go out, step by step: challenge, request, page by page.

use tokio::time::Instant;

use super::wire::{Answer, Dial, Topic, Wire as _};
use super::{Left, Said, State, Uplink};
use crate::core::{Errand, Heard};

impl<D: Dial> Uplink<D> {
    pub(super) async fn asking(&mut self, errand: Errand, mut link: D::Wire) -> State<D::Wire> {
        loop {
            let queue = |message: &[u8]| link.publish(Topic::Request, message);
            match self.agent.offer_request(&errand, queue) {
                Err(error) => return self.store_failed(&error),
                Ok(None) => return self.turn(errand, link, Said::Nothing).await,
                Ok(Some(_queued)) => {}
            }
            let until = Instant::now() + self.settings.answer_within;
            loop {
                match self.hear(&mut link, until).await {
                    Ok(Answer::Rights(bytes)) => match self.agent.on_answer(&bytes) {
                        Err(error) => return self.store_failed(&error),
                        Ok(Heard::Request { settled, .. }) => {
                            self.answered();
                            if settled {
                                return self.turn(errand, link, Said::Something).await;
                            }
                            break;
                        }
                        Ok(_) => {}
                    },
                    Ok(other) => {
                        if let Err(error) = self.take(&other) {
                            return self.store_failed(&error);
                        }
                    }
                    Err(Left::News) => {}
                    Err(left) => {
                        if matches!(left, Left::Late | Left::Nobody | Left::Busy(_)) {
                            self.agent.put_off_requests();
                        }
                        return self.leave(left, link).await;
                    }
                }
            }
        }
    }
}
