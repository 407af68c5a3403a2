//! Values by number, allocated in runs, so that growing moves none.

/// Values allocated together.
const RUN: usize = 1024;

#[derive(Debug)]
pub(super) struct Slab<T>(Vec<Box<[Option<T>]>>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slab<T> {
    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        let place = usize::try_from(slot).ok()?;
        self.0.get(place / RUN)?.get(place % RUN)?.as_ref()
    }

    pub(super) fn set(&mut self, slot: u32, value: Option<T>) {
        let place = usize::try_from(slot).unwrap_or(usize::MAX);
        while value.is_some() && self.0.len() <= place / RUN {
            self.0.push((0..RUN).map(|_| None).collect());
        }
        let held = self.0.get_mut(place / RUN).and_then(|run| run.get_mut(place % RUN));
        if let Some(held) = held {
            *held = value;
        }
    }

    /// The numbers of the values meant, in order.
    pub(super) fn slots_where(&self, meant: impl Fn(&T) -> bool) -> Vec<u64> {
        let held = (0..).zip(self.0.iter().flatten());
        held.filter_map(|(slot, held)| held.as_ref().filter(|value| meant(value)).map(|_| slot))
            .collect()
    }
}
