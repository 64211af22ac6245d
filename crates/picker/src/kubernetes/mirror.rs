//! Objects as the API server has them.

use kube::{
    ResourceExt,
    api::DynamicObject,
    runtime::watcher::{self, Event},
};
use std::collections::BTreeMap;

/// Objects of one kind, read, by name.
#[derive(Debug)]
pub(super) struct Mirror<T> {
    now: BTreeMap<String, T>,
    /// What a list has told so far; those that it leaves out are gone.
    coming: Option<BTreeMap<String, T>>,
    whole: bool,
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self {
            now: BTreeMap::new(),
            coming: None,
            whole: false,
        }
    }
}

impl<T: PartialEq> Mirror<T> {
    /// What follows from an event: whether something changed. `read` gives nothing for objects that
    /// are of no concern, or make no sense.
    pub(super) fn on(
        &mut self,
        event: watcher::Result<Event<DynamicObject>>,
        read: impl Fn(&DynamicObject) -> Option<T>,
    ) -> watcher::Result<bool> {
        Ok(match event? {
            Event::Init => {
                self.coming = Some(BTreeMap::new());
                false
            }
            Event::InitApply(object) => {
                if let (Some(coming), Some(read)) = (&mut self.coming, read(&object)) {
                    coming.insert(object.name_any(), read);
                }
                false
            }
            Event::InitDone => {
                let before =
                    std::mem::replace(&mut self.now, self.coming.take().unwrap_or_default());
                !std::mem::replace(&mut self.whole, true) || before != self.now
            }
            Event::Apply(object) => match read(&object) {
                Some(read) => {
                    let changed = self.now.get(&object.name_any()) != Some(&read);
                    self.now.insert(object.name_any(), read);
                    changed
                }
                None => self.now.remove(&object.name_any()).is_some(),
            },
            Event::Delete(object) => self.now.remove(&object.name_any()).is_some(),
        })
    }

    /// Whether a whole list has been read.
    pub(super) const fn is_whole(&self) -> bool {
        self.whole
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.now.get(name)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.now.values()
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &T)> {
        self.now.iter().map(|(name, one)| (name.as_str(), one))
    }
}
