//! Lists of slots by age, threaded through one vector: a slot is in one list or in none.

pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    younger: u32,
    older: u32,
    list: u32,
}

const LOOSE: Link = Link {
    younger: NONE,
    older: NONE,
    list: NONE,
};

#[derive(Clone, Copy, Debug)]
struct Ends {
    youngest: u32,
    oldest: u32,
}

#[derive(Debug)]
pub(super) struct Lists {
    links: Vec<Link>,
    ends: Vec<Ends>,
}

impl Lists {
    pub(super) fn new(lists: usize) -> Self {
        let empty = Ends {
            youngest: NONE,
            oldest: NONE,
        };
        Self {
            links: Vec::new(),
            ends: vec![empty; lists],
        }
    }

    /// One more slot, in no list.
    pub(super) fn grow(&mut self) {
        self.links.push(LOOSE);
    }

    /// The oldest slot of a list; `NONE` where it is empty.
    pub(super) fn oldest(&self, list: usize) -> u32 {
        self.ends[list].oldest
    }

    /// Takes a slot out of its list.
    pub(super) fn unlink(&mut self, slot: u32) {
        let Link {
            younger,
            older,
            list,
        } = std::mem::replace(&mut self.links[slot as usize], LOOSE);
        if list == NONE {
            return;
        }
        match self.links.get_mut(younger as usize) {
            Some(link) => link.older = older,
            None => self.ends[list as usize].youngest = older,
        }
        match self.links.get_mut(older as usize) {
            Some(link) => link.younger = younger,
            None => self.ends[list as usize].oldest = younger,
        }
    }

    /// Puts a loose slot at the young end of a list.
    pub(super) fn link_youngest(&mut self, slot: u32, list: usize) {
        let before = self.ends[list].youngest;
        self.links[slot as usize] = Link {
            younger: NONE,
            older: before,
            list: list as u32,
        };
        match self.links.get_mut(before as usize) {
            Some(link) => link.younger = slot,
            None => self.ends[list].oldest = slot,
        }
        self.ends[list].youngest = slot;
    }
}
